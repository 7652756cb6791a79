"""Fixtures of several rooms: real runs of a project in this process, on a network and data small enough for a test."""

import csv
import io
import json
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor

from projects.imagenet_resnet.task import Classification
from shared.command.cli import train as command_line
from shared.config.root import ROOT
from tests.fit.tiny_net import TinyNet

SCRIPT = ROOT / "projects/imagenet_resnet/train.py"
SMALL = [
    *("model.depth=18", "data.train_size=8", "data.val_size=8", "effective_batch_size=64", "logger=csv"),
    *("trainer.limit_val_batches=2", "trainer.max_epochs=3", "trainer.log_every_n_steps=1"),
    *("samples_per_epoch=320", "optimizer=sgd", "optimizer.lr=0.1", "hardware.workers=0"),
]


@dataclass
class Ended:
    """A run that is over: exit code, summary.json, what it printed, its folder."""

    code: int
    summary: dict[str, Any]
    said: str
    folder: Path

    @property
    def rows(self) -> list[dict[str, str]]:
        """metrics.csv without the columns that depend on the clock."""
        with (self.folder / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]

    def state(self, role: str = "last") -> dict[str, Any]:
        return torch.load(self.folder / f"checkpoints/{role}.ckpt", weights_only=True)

    def weights(self, role: str = "last") -> bytes:
        """All tensors of weights and moments, as bytes."""
        state = self.state(role)
        tensors = [*state["state_dict"].values()]
        tensors += [each for slot in state["optimizer_states"][0]["state"].values() for each in slot.values()]
        return b"".join(tensor.numpy().tobytes() for tensor in tensors if isinstance(tensor, Tensor))

    def events(self, kind: str) -> list[str]:
        return [event["message"] for event in self.summary["events"] if event["kind"] == kind]


@pytest.fixture(scope="session")
def train(tmp_path_factory) -> Callable[..., Ended]:
    """`train(folder, "key=value", ...)` runs the imagenet_resnet project; without a folder, in a new one."""

    def run(folder: Path | None, *overrides: str, network: type = TinyNet) -> Ended:
        folder = folder or tmp_path_factory.mktemp("run")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("projects.imagenet_resnet.model.ResNet", network)
            patch.setattr(
                "shared.runs.pages.report.write_report", lambda folder: None
            )  # a second, and not the matter
            patch.setattr(sys, "argv", [str(SCRIPT), *SMALL, f"run_dir={folder}", *overrides])
            code, said = in_this_process()
        summary = folder / "summary.json"
        found = json.loads(summary.read_text()) if summary.exists() else {}
        return Ended(code, found, said, folder)

    return run


def in_this_process() -> tuple[int, str]:
    """Exit code and output of the command line in `sys.argv`."""
    GlobalHydra.instance().clear()
    handlers, said = logging.root.handlers[:], io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            command_line(str(SCRIPT))
    except SystemExit as end:
        return end.code, said.getvalue()
    finally:
        logging.root.handlers[:] = handlers
    return 0, said.getvalue()


@pytest.fixture(scope="session")
def whole(train) -> Ended:
    """The run that nothing disturbs."""
    return train(None)


@pytest.fixture
def interrupt(monkeypatch):
    """Send this process a signal at the `call`-th call (from 1) of a method of the task."""

    def at(method: str, call: int, signum: int = signal.SIGTERM, everyone: bool = False) -> None:
        original, calls = getattr(Classification, method), iter(range(1, 10_000))

        def wrapped(self, *arguments):
            if next(calls) == call:
                children = psutil.Process().children() if everyone else []
                for process in [*children, psutil.Process()]:
                    process.send_signal(signum)
            return original(self, *arguments)

        monkeypatch.setattr(Classification, method, wrapped)

    return at
