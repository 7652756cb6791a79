"""Training steps of ResNetSE34V2: channels_last and bf16 against eager fp32, in turns; on a GPU where there is one.

A step is 20 speakers x 2 utterances x 200 frames, AAM-softmax over 140 speakers, Adam. Target: a ratio of 1.8 on a
processor with bf16, by CPU time.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from projects.voxceleb.audio.features import samples_of
from projects.voxceleb.losses import AAMSoftmax
from projects.voxceleb.model import ResNetSE34V2

FRAMES, CLASSES = 200, 140


class Step:
    """One way to train; calling it takes a step."""

    def __init__(self, device: str, fast: bool, speakers: int) -> None:
        torch.manual_seed(0)
        layout = torch.channels_last if fast else torch.contiguous_format
        self.network = ResNetSE34V2().to(device, memory_format=layout)
        self.head = AAMSoftmax(self.network.embedding, CLASSES).to(device)
        self.optimizer = torch.optim.Adam([*self.network.parameters(), *self.head.parameters()])
        self.wave = torch.randn(speakers * 2, samples_of(FRAMES), device=device) * 0.1
        self.label = torch.arange(speakers, device=device) % CLASSES
        self.autocast = torch.autocast(device, dtype=torch.bfloat16, enabled=fast)

    def __call__(self) -> None:
        with self.autocast:
            embedding = self.network(self.wave).float()
        loss, _ = self.head(embedding.unflatten(0, (-1, 2)), self.label)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def seconds(step: Step, device: str) -> tuple[float, float]:
    """CPU and wall seconds of one step."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each (default %(default)s)")
    parser.add_argument("--speakers", type=int, default=20, help="in a batch (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="on the processor (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = {"fp32": Step(device, False, options.speakers), "bf16": Step(device, True, options.speakers)}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            took = seconds(step, device)
            if number:  # the first round warms the caches
                spent[name].append(took)
    for column, clock in enumerate(("CPU", "wall")):
        eager, fast = ([took[column] for took in spent[name]] for name in steps)
        ratio = statistics.median(a / b for a, b in zip(eager, fast, strict=True))
        rates = [2 * options.speakers / statistics.median(times) for times in (eager, fast)]
        print(
            f"{device}, by {clock} time: fp32 {statistics.median(eager):.3f} s, channels_last + bf16 "
            f"{statistics.median(fast):.3f} s a step; {rates[0]:.1f} and {rates[1]:.1f} utterances/s, ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
