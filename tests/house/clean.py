"""Hooks that end a test run in red when it left something in the checkout: new files, or changed ones."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEFORE, LEFT = pytest.StashKey[set[str]](), pytest.StashKey[list[str]]()
CACHES = (
    "__pycache__/",
    ".pytest_cache/",
    ".hypothesis/",
    ".mypy_cache/",
    ".ruff_cache/",
    "data/",
)  # made once, kept


def pytest_sessionstart(session: pytest.Session) -> None:
    if main(session.config):
        session.config.stash[BEFORE] = status()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was there before the tests is not their doing."""
    if main(session.config):
        left = sorted(status() - session.config.stash[BEFORE])
        session.config.stash[LEFT] = left
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if left else session.exitstatus


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left := config.stash.get(LEFT, []):
        terminalreporter.section(
            "the checkout changed while the tests ran: by a test, unless it was you", red=True
        )
        for line in left:
            terminalreporter.write_line(line)


def main(config: pytest.Config) -> bool:
    """Not a worker of pytest-xdist: they would see each other's files."""
    return not hasattr(config, "workerinput")


def status() -> set[str]:
    """`git status` with ignored files, but for the caches; nothing outside git."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=all", "--ignored=matching"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {line for line in found.splitlines() if not line.endswith(CACHES)}
