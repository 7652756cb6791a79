"""The measurements of scripts/bench run: each for a moment."""

import subprocess
import sys

import pytest

from shared.config.root import ROOT


@pytest.mark.parametrize("name", ["train_step", "guard_overhead"])
def test_a_bench_runs(name):
    script = ROOT / "scripts/bench" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), "--tiny"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert " x " in done.stdout
