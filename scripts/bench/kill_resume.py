"""Kills training with SIGKILL at random moments, resumes it, and compares its end with the undisturbed run's.

A trial kills the run once or more: at any time, while a checkpoint is written, right after it (before its links), while
a backup is written, or so that a new machine, without the run folder, has to go on from the backup. A trial is lost if
the run does not end, or if a bit of weights or moments, or a row of metrics.csv, differs.
"""

import argparse
import csv
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = "1"  # the same sums in every process; and forking is safe before any thread
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from shared.checkpoints.file import read  # noqa: E402

SETTINGS = """effective_batch_size=16 samples_per_epoch=128 logger=csv trainer.max_epochs=2 trainer.limit_val_batches=2
trainer.log_every_n_steps=1 hardware.workers=0 callbacks.checkpoints.every_minutes=0.02 backup.retries=0 backup.keep=2
"""
SMALL = {
    "imagenet_resnet": "model.depth=18 data.train_size=16 data.val_size=16 optimizer=sgd optimizer.lr=0.05",
    "thai_ocr": """data.count=256 data.val_count=32 data.max_length=12 model.channels=[8,16,32] model.blocks=[0,1,1]
model.layers=1 model.heads=2 model.dropout=0.1""",
}
PREPARED = {  # what the forked runs need is imported once
    "imagenet_resnet": "projects.imagenet_resnet.data projects.imagenet_resnet.task shared.lightning.assembly",
    "thai_ocr": "projects.thai_ocr.data projects.thai_ocr.model projects.thai_ocr.task shared.paddle.assembly",
}
MOMENTS = ("any time", "checkpoint", "links", "backup", "new machine")


class Folders:
    """Where one trial's run of a project and its backup lie."""

    def __init__(self, project: str, base: Path, backed_up: bool = False) -> None:
        self.script = ROOT / "projects" / project / "train.py"
        self.base, self.run, self.backup = base, base / "machine" / "run", base / "backup"
        self.settings = [*SETTINGS.split(), *SMALL[project].split(), f"run_dir={self.run}"]
        self.settings += [f"backup.url={self.backup}"] * backed_up

    def matches(self, moment: str) -> Callable[[], bool]:
        """Whether the moment to kill has come."""
        last, checkpoints = self.run / "checkpoints/last.ckpt", self.run / "checkpoints"
        if moment == "checkpoint":
            return lambda: (checkpoints / ".writing.ckpt").exists()
        if moment == "links":
            first = inode(last)
            return lambda: inode(last) != first
        if moment == "backup":
            return lambda: any(self.backup.rglob("*.part"))
        return lambda: True


def inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def launch(folders: Folders) -> int:
    """A process of its own that trains; it is forked, and so spared the imports."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        folders.base.mkdir(parents=True, exist_ok=True)
        out = os.open(folders.base / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = [str(folders.script), *folders.settings]
        runpy.run_path(str(folders.script), run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(code)


def killed(folders: Folders, moment: str, earliest: float) -> bool:
    """Train, and kill at the first such moment after `earliest` seconds; False if the run ended before."""
    pid, began, come = launch(folders), time.monotonic(), None
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, (folders.base / "output.txt").read_text()
            return False
        if time.monotonic() - began > earliest:
            come = come or folders.matches(moment)
            if come():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return True
        time.sleep(0.001)


def finish(folders: Folders) -> int:
    """Exit code of a run that is left in peace."""
    return os.waitstatus_to_exitcode(os.waitpid(launch(folders), 0)[1])


def result(run: Path) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """Rows of metrics.csv but for times, and every tensor of the last and the best checkpoint."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [{k: v for k, v in row.items() if not k.startswith("time/")} for row in csv.DictReader(file)]
    tensors = {}
    for role in ("last", "best"):
        state = read(run / f"checkpoints/{role}.ckpt")
        moments = state["optimizer"] if "optimizer" in state else state["optimizer_states"][0]["state"]
        for name, value in flatten({"weights": state["state_dict"], "moments": moments}):
            tensors[f"{role} {name}"] = np.asarray(value).tobytes()
    return rows, tensors


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays and tensors within dictionaries."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def trial(project: str, base: Path, moment: str, draw: random.Random, seconds: float) -> tuple[int, bool]:
    """Kill and resume until the run has ended; the number of kills, and whether it ended."""
    folders, kills = Folders(project, base, backed_up=moment in ("backup", "new machine")), 0
    while not kills:
        shutil.rmtree(base, ignore_errors=True)
        for _ in range(1 + (draw.random() < 0.3)):
            kills += killed(folders, moment, draw.uniform(0, 0.8 * seconds))
            if moment == "new machine":
                shutil.rmtree(folders.run, ignore_errors=True)
    return kills, finish(folders) == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", choices=SMALL, default="imagenet_resnet")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--moments", nargs="+", choices=MOMENTS, default=MOMENTS, help="taken in turn")
    arguments = parser.parse_args()
    for name in ["shared.command.runner", "shared.runs.pages.report", *PREPARED[arguments.project].split()]:
        import_module(name)
    draw, kills, lost = random.Random(arguments.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as scratch:
        undisturbed, began = Folders(arguments.project, Path(scratch) / "undisturbed"), time.monotonic()
        assert finish(undisturbed) == 0, (undisturbed.base / "output.txt").read_text()
        seconds, expected = time.monotonic() - began, result(undisturbed.run)
        for number in range(arguments.trials):
            moment, base = arguments.moments[number % len(arguments.moments)], Path(scratch) / "trial"
            count, ended = trial(arguments.project, base, moment, draw, seconds)
            same = ended and result(base / "machine/run") == expected
            kills[moment] += count
            lost += not same
            words = "the same to the bit" if same else "LOST\n" + (base / "output.txt").read_text()
            print(f"trial {number + 1}: {count} kill{'s' * (count != 1)} ({moment}), {words}", flush=True)
            shutil.rmtree(base)
    places = ", ".join(f"{count} {moment}" for moment, count in kills.items())
    print(
        f"{lost} of {arguments.trials} lost ({kills.total()} kills: {places}; one run takes {seconds:.1f} s)"
    )
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
