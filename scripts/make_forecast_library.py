"""Train small networks under many schedules; their curves are the library that forecasts are calibrated on.

Two dozen real runs, some minutes on one core. Tasks: noisy teacher networks (20 classes) and scikit-learn's
digits; SGD and AdamW; one cosine, warm restarts, linear, one cycle, steps, constant.

    python scripts/make_forecast_library.py shared/runs/library
"""

import argparse
import csv
import math
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

SCHEDULES = {
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "restarts": lambda t: (1 + math.cos(math.pi * (3 * t % 1))) / 2,
    "linear": lambda t: min(t / 0.1, (1 - t) / 0.9),
    "one_cycle": lambda t: t / 0.3 if t < 0.3 else (1 + math.cos(math.pi * (t - 0.3) / 0.7)) / 2,
    "steps": lambda t: 0.1 ** int(3 * t),
    "constant": lambda t: 1.0,
}


def teacher(seed: int, held_out: int = 3000):
    """A random two-layer network with noisy logits labels Gaussian inputs: an endless set, 20 classes."""
    rng = torch.Generator().manual_seed(seed)
    first, last = torch.randn(40, 80, generator=rng) / 4, torch.randn(80, 20, generator=rng)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(count, 40, generator=rng)
        logits = torch.tanh(x @ first) @ last
        return x, (logits + 0.5 * torch.randn(logits.shape, generator=rng)).argmax(1)

    return lambda: draw(4096), draw(held_out)


def digits(seed: int):
    """The scanned digits, shifted and noisy afresh in every epoch; half of them held out."""
    rng = torch.Generator().manual_seed(seed)
    data = load_digits()
    order = torch.randperm(len(data.target), generator=rng)
    x = (torch.tensor(data.data, dtype=torch.float32) / 8 - 1).view(-1, 8, 8)[order]
    y = torch.tensor(data.target)[order]

    def distort(x: torch.Tensor) -> torch.Tensor:
        shifts = torch.randint(-2, 3, (len(x), 2), generator=rng).tolist()
        moved = torch.stack([image.roll(shift, (0, 1)) for image, shift in zip(x, shifts, strict=True)])
        return (moved + 0.5 * torch.randn(x.shape, generator=rng)).flatten(1)

    return lambda: (distort(x[:1024]), y[:1024]), (distort(x[1024:]), y[1024:])


def train(task, schedule: str, optimizer: str, lr: float, epochs: int, batch: int, seed: int):
    """Yield one row an epoch: epoch, lr (of its last step), train/loss, val/loss, val/top1."""
    torch.manual_seed(seed)
    draw, (held_x, held_y) = task
    width = 192
    net = nn.Sequential(
        nn.Linear(held_x.shape[1], width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, int(held_y.max()) + 1),
    )  # fmt: skip
    kinds = {"sgd": lambda p: torch.optim.SGD(p, lr, 0.9, weight_decay=5e-4),
             "adamw": lambda p: torch.optim.AdamW(p, lr, weight_decay=0.05)}  # fmt: skip
    update = kinds[optimizer](net.parameters())
    for epoch in range(epochs):
        net.train()
        total = 0.0
        x, y = draw()
        steps = len(x) // batch
        for step, rows in enumerate(torch.randperm(len(x))[: steps * batch].view(steps, batch)):
            rate = lr * max(1e-4, SCHEDULES[schedule]((epoch * steps + step) / (epochs * steps)))
            update.param_groups[0]["lr"] = rate
            loss = F.cross_entropy(net(x[rows]), y[rows], label_smoothing=0.05)
            update.zero_grad()
            loss.backward()
            update.step()
            total += loss.item() / steps
        net.eval()
        with torch.no_grad():
            out = net(held_x)
        top1 = (out.argmax(1) == held_y).float().mean().item()
        yield (
            epoch + 1,
            f"{rate:.8g}",
            f"{total:.5f}",
            f"{F.cross_entropy(out, held_y).item():.5f}",
            f"{top1:.5f}",
        )


RECIPES = [
    ("teacher", "sgd", 0.5),
    ("teacher", "adamw", 0.02),
    ("digits", "sgd", 0.3),
    ("digits", "adamw", 0.02),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    recipes = [
        ("teacher", "sgd", 0.1),
        ("teacher", "adamw", 3e-3),
        ("digits", "sgd", 0.2),
        ("digits", "adamw", 5e-3),
    ]
    for number, (task, optimizer, lr) in enumerate(recipes):
        for offset, schedule in enumerate(SCHEDULES):
            seed = 10 * number + offset
            data = teacher(seed) if task == "teacher" else digits(seed)
            epochs = (30, 45, 60)[(number + offset) % 3]
            rows = train(data, schedule, optimizer, lr, epochs, 32, seed)
            with (folder / f"{task}_{optimizer}_{schedule}_{epochs}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("epoch", "lr", "train/loss", "val/loss", "val/top1"))
                writer.writerows(rows)


if __name__ == "__main__":
    main()
