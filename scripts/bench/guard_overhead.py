"""The cost of the guards: training steps with them against steps without, taking turns in one run.

With: buffers copied before the step, gradient norm, batch, loss and norm checked, spike watches. Without: none of
these, not even the copy that an out-of-memory needs. Target for ResNet-50: 1.02 in processor time.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import lightning
import torch
from torch import nn

from scripts.bench.train_step import CLASSES, fit, make_batches, tiny
from shared.nets.resnet import ResNet

ZERO = torch.zeros(())


class TakingTurns(lightning.Callback):
    """Switches the guards off and on: with, without, without, with, ...; `seconds` of processor time of each."""

    def __init__(self) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, batch_idx: int) -> None:
        self.guarded, self.off = batch_idx % 4 in (0, 3), ExitStack()
        if not self.guarded:
            self.off.enter_context(patch.object(task, "guard", None))
            self.off.enter_context(patch("shared.lightning.step.Snapshot.take", lambda snapshot: None))
            self.off.enter_context(patch("shared.lightning.step.total_norm", lambda gradients, trainer: ZERO))
        self.began = time.process_time()

    def on_train_batch_end(self, trainer: Any, task: Any, out: Any, batch: Any, batch_idx: int) -> None:
        self.seconds[self.guarded].append(time.process_time() - self.began)
        self.off.close()


def compare(name: str, model: nn.Module, batches: list[dict[str, torch.Tensor]]) -> None:
    """Print the median of the ratios of neighbouring steps, and its standard error."""
    turns = TakingTurns()
    with tempfile.TemporaryDirectory() as folder:
        fit(model, batches, Path(folder), turns)
    warm = len(batches) // 20 + 1
    ratios = [a / b for a, b in zip(turns.seconds[True], turns.seconds[False], strict=True)][warm:]
    error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5  # of a median, near enough
    step = statistics.median(turns.seconds[False][warm:]) * 1e3
    print(
        f"{name:10s} {step:8.2f} ms a step without, x {statistics.median(ratios):.4f} +- {error:.4f} with guards "
        f"({len(ratios)} pairs)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=80, help="of ResNet-50 steps (default: 80)")
    parser.add_argument("--tiny", action="store_true", help="a moment, to see that it runs")
    given = parser.parse_args()
    pairs = given.pairs
    torch.set_num_threads(1)
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    networks: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
        "ResNet-50": (lambda: ResNet(50, CLASSES), (2 * pairs, 16, 64)),
        "tiny": (tiny, (40 * pairs, 8, 32)),
    }
    if given.tiny:
        networks = {"tiny": (tiny, (16, 8, 32))}
    for name, (make, shape) in networks.items():
        torch.manual_seed(0)
        compare(name, make(), make_batches(*shape))


if __name__ == "__main__":
    main()
