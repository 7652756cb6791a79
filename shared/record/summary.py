"""summary.json: what a run was, what it reached and what happened, for people and for tools."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from shared.policy.schedule_base import Schedule

PACKAGES = ("torch", "lightning", "paddlepaddle", "hydra-core", "numpy", "albumentations")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape results."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit(root: Path) -> str | None:
    """The checkout's commit, with `+changes` where tracked files differ from it; None outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def restarts(schedule: Schedule, steps: int, state: dict[str, Any]) -> list[dict[str, Any]]:
    """LR restarts within the first `steps` steps; `epoch` is the 1-based epoch that begins with the new LR.

    Those before the resume are what its checkpoint's `state` says: they may have been another schedule's.
    """
    found = list(state.get("restarts", []))
    begun = state["step"] if "restarts" in state else 0
    for step in schedule.restarts(steps):
        if step < begun:
            continue
        before, after = schedule.lr(step - 1), schedule.lr(step)
        epoch = step // schedule.steps_per_epoch + 1
        found.append(
            {
                "epoch": epoch,
                "lr_before": before,
                "lr_after": after,
                "ratio": after / before if before else None,
            }
        )
    return found
