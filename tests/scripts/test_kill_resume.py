"""Kill -9 of real training processes, and what a resume makes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lines_of(*arguments: str) -> list[str]:
    command = [sys.executable, str(ROOT / "scripts/bench/kill_resume.py"), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_killed_run_ends_as_if_it_had_not_been():
    trial, total = lines_of("--trials", "1", "--moments", "checkpoint")
    assert trial.startswith("trial 1: ") and trial.endswith("the same to the bit")
    assert total.startswith("0 of 1 lost")


@pytest.mark.slow
def test_whatever_the_moment():
    assert lines_of("--trials", "10", "--seed", "3")[-1].startswith("0 of 10 lost")
