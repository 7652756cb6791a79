"""Every test works in a folder of its own and leaves the checkout clean; runs of real projects for the tests."""

import csv
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.house.clean import pytest_sessionfinish, pytest_sessionstart, pytest_terminal_summary

__all__ = ["pytest_sessionfinish", "pytest_sessionstart", "pytest_terminal_summary"]

ROOT = Path(__file__).resolve().parents[1]
os.environ["TRAINYARD_LEDGER"] = os.devnull  # the journal of whoever runs the tests is not theirs to fill
os.environ["PYTHONPATH"] = str(ROOT)  # processes that a test starts find this code from any folder
TINY = ["model.depth=18", "data.train_size=16", "data.val_size=16", "effective_batch_size=16", "logger=csv"]
TINY += [
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=2",
    "trainer.max_epochs=2",
    "hardware=cpu",
]


class Outcome(NamedTuple):
    """Exit code and both streams of a command."""

    code: int
    out: str
    err: str

    @property
    def run_dir(self) -> Path:
        return Path(self.out.splitlines()[-1].removeprefix("run: "))

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.run_dir / "summary.json").read_text())


@pytest.fixture(scope="session", autouse=True)
def no_checkout(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fixtures that several tests share work outside the checkout too."""
    os.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test, or a command that it starts, writes to a relative path lies in `tmp_path`."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`command(train, "imagenet_resnet", "seed=1")`: an entry point of shared.command.cli in this process."""

    def run(entry: Callable[[str], None], project: str, *arguments: str) -> Outcome:
        script = ROOT / "projects" / project / f"{entry.__name__}.py"
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        capsys.readouterr()
        try:
            entry(str(script))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        forget_log_files()
        streams = capsys.readouterr()
        return Outcome(code, streams.out, streams.err)

    return run


def forget_log_files() -> None:
    """Take a run's train.log off the root logger: its folder may be gone before the next test logs a line."""
    from shared.record.logs import FileHandler

    for handler in [each for each in logging.root.handlers if isinstance(each, FileHandler)]:
        logging.root.removeHandler(handler)
        handler.close()


@pytest.fixture
def tiny(command: Callable[..., Outcome], tmp_path: Path) -> Callable[..., Outcome]:
    """`tiny("seed=1")`: trains a small imagenet_resnet for a moment in `tmp_path / run`."""
    from shared.command.cli import train

    def run(*overrides: str) -> Outcome:
        return command(train, "imagenet_resnet", *TINY, f"run_dir={tmp_path / 'run'}", *overrides)

    return run


def start(script: str, *arguments: str) -> subprocess.Popen:
    """A real process of `projects/<script>`."""
    line = [sys.executable, str(ROOT / "projects" / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=environment)


def rows(run_dir: Path) -> list[dict[str, str]]:
    """metrics.csv without the columns that measure time."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in csv.DictReader(file)]
