"""Every command tells what it does and how it is called, and ends well when asked for it."""

import subprocess
import sys

import pytest

from shared.config.root import ROOT

COMMANDS = sorted(
    str(path.relative_to(ROOT))
    for name in ("evaluate", "predict", "export")
    for path in ROOT.glob(f"projects/*/{name}.py")
)


@pytest.mark.parametrize("name", [*COMMANDS, "scripts/serve.py"])
def test_help_ends_well_and_shows_an_example(name):
    line = [sys.executable, str(ROOT / name), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert "python " in done.stdout and "=" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_without_arguments_it_is_shown_too_and_the_exit_code_says_so(name):
    done = subprocess.run([sys.executable, str(ROOT / name)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "python " in done.stdout
