"""Our whole training step (Lightning, callbacks, logging, guard) against a bare PyTorch loop of the same work.

Same network, batches, loss, optimizer, schedule and precision; both take turns in one process, and the ratio of each
round's times is what counts. Targets: ResNet-50 at most 1.03, the tiny network, where the framework dominates, 1.6.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import hydra  # noqa: E402
import lightning  # noqa: E402
import torch  # noqa: E402
from hydra.utils import instantiate  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

import shared.config.root  # noqa: E402, F401 (registers the resolvers)
from projects.imagenet_resnet.task import Classification  # noqa: E402
from shared.lightning.assembly import Unprofiled  # noqa: E402
from shared.lightning.callbacks.adoption import adopt  # noqa: E402
from shared.lightning.task import Rails, parameter_groups  # noqa: E402
from shared.nets.resnet import ResNet  # noqa: E402
from shared.policy.batching import Batching  # noqa: E402
from shared.policy.schedule import Cosine  # noqa: E402
from shared.processes.interruption import Interruption  # noqa: E402
from shared.record.folder import RunFolder  # noqa: E402

CLASSES, LR = 10, 0.01


class Data:
    """What the task wants to know about its data."""

    num_classes = CLASSES


class Stopwatch(lightning.Callback):
    """Seconds of wall and processor time from the first batch of an epoch to the end of its last."""

    def on_train_epoch_start(self, *_: Any) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


def tiny() -> nn.Module:
    """Two convolutions: about a millisecond a step."""
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)]
    head = [nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES)]
    return nn.Sequential(*layers, *head)


def make_batches(steps: int, batch: int, pixels: int) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    shape = (batch, 3, pixels, pixels)
    return [
        {
            "image": torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw),
            "label": torch.randint(0, CLASSES, (batch,), generator=draw),
        }
        for _ in range(steps)
    ]


def bare(model: nn.Module, batches: list[dict[str, torch.Tensor]]) -> tuple[float, float]:
    """The same work as a plain loop; (wall, processor) seconds."""
    task = Classification(model, Data(), label_smoothing=0.1)
    optimizer = torch.optim.SGD(parameter_groups(model), lr=LR, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    model.train()
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        loss = F.cross_entropy(task(batch["image"]), batch["label"], label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return time.perf_counter() - wall, time.process_time() - cpu


def ours(model: nn.Module, batches: list[dict[str, torch.Tensor]], folder: Path) -> tuple[float, float]:
    """One epoch through Lightning with the default callbacks; (wall, processor) seconds."""
    stopwatch = Stopwatch()
    fit(model, batches, folder, stopwatch)
    return stopwatch.wall, stopwatch.cpu


def fit(
    model: nn.Module, batches: list[dict[str, torch.Tensor]], folder: Path, watch: lightning.Callback
) -> None:
    """One epoch on the real rails: the default callbacks, and one that watches them."""
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose("imagenet_resnet", overrides=["callbacks.checkpoints=null", f"run_dir={folder}"])
    task = Classification(model, Data(), label_smoothing=0.1)
    loader = DataLoader(batches, batch_size=None)
    task.rails = Rails(
        folder=RunFolder(folder),
        config=OmegaConf.to_container(cfg),
        overrides=[],
        schedule=Cosine(peak=LR, epochs=1, steps_per_epoch=len(batches)),
        optimizer=lambda groups: torch.optim.SGD(groups, lr=LR, momentum=0.9, weight_decay=1e-4),
        batching=Batching(effective=len(batches[0]["label"])),
        sampler=loader.sampler,
        interruption=Interruption(),
        monitor="val/top1",
        mode="max",
    )
    callbacks = [watch, *(adopt(instantiate(node)) for node in cfg.callbacks.values() if node)]
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_epochs": 1}
    instantiate(cfg.trainer, **settings, callbacks=callbacks, profiler=Unprofiled()).fit(task, loader)


def compare(name: str, make: Any, batches: list[dict[str, torch.Tensor]], rounds: int, target: float) -> None:
    """Print the median ratio of `rounds` pairs, after one pair that does not count."""
    pairs = []
    for turn in range(rounds + 1):
        torch.manual_seed(turn)
        with tempfile.TemporaryDirectory() as folder:
            plain = bare(make(), batches)
            pairs.append((plain, ours(make(), batches, Path(folder))))
    pairs = pairs[1:]
    for label, index in (("processor", 1), ("wall", 0)):
        ratios = sorted(mine[index] / plain[index] for plain, mine in pairs)
        step = statistics.median(plain[index] for plain, _ in pairs) / len(batches) * 1e3
        print(
            f"{name:10s} {label:9s} time: bare {step:8.2f} ms a step, ours x {statistics.median(ratios):.3f} "
            f"(min {ratios[0]:.3f}, max {ratios[-1]:.3f}; {rounds} rounds; target {target})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="pairs of timed runs for each network (default: 7)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    parser.add_argument("--tiny", action="store_true", help="a moment, to see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if arguments.tiny:
        compare("tiny", tiny, make_batches(8, 8, 32), 1, 1.6)
        return
    compare("tiny", tiny, make_batches(400, 8, 32), arguments.rounds, 1.6)
    compare("ResNet-50", lambda: ResNet(50, CLASSES), make_batches(10, 16, 64), arguments.rounds, 1.03)


if __name__ == "__main__":
    main()
