"""A test run that leaves something in the checkout is red; what was there before, and caches, are not its doing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import clean

TEST = """from pathlib import Path
import pytest

@pytest.mark.parametrize("n", range(3))
def test_it(n):
    {body}
"""
LEAVE = """for name in ("new.txt", "tracked.txt", "runs/summary.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("changed")"""
HOOKS = "from tests.house.clean import pytest_sessionfinish, pytest_sessionstart, pytest_terminal_summary\n"


@pytest.fixture
def checkout(tmp_path):
    """A small repository with the hooks of this one, and somebody's unfinished work."""
    house = tmp_path / "tests" / "house"
    house.mkdir(parents=True)
    shutil.copy(clean.__file__, house)
    (tmp_path / "tests/conftest.py").write_text(HOOKS)
    (tmp_path / "tracked.txt").write_text("as it was")
    (tmp_path / ".gitignore").write_text("/runs/\n__pycache__/\n.pytest_cache/\n")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "unfinished.py").touch()
    return tmp_path


def run_tests(checkout: Path, body: str, *options: str) -> subprocess.CompletedProcess:
    (checkout / "tests/test_one.py").write_text(TEST.format(body=body))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--rootdir",
        str(checkout),
        *options,
        str(checkout / "tests"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("options", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "xdist"])
def test_what_is_left_in_the_checkout_is_named(checkout, options):
    done = run_tests(checkout, LEAVE, *options)
    assert done.returncode == 1 and "3 passed" in done.stdout, done.stdout + done.stderr
    assert {" M tracked.txt", "!! runs/", "?? new.txt"} <= set(done.stdout.splitlines())
    assert "unfinished.py" not in done.stdout


def test_a_clean_run_is_green(checkout):
    done = run_tests(checkout, "Path('unfinished.py').write_text('still unfinished')")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failure_stays_one_and_a_copy_without_git_is_tested_all_the_same(checkout):
    shutil.rmtree(checkout / ".git")
    assert run_tests(checkout, "Path('new.txt').touch()").returncode == 0
    assert run_tests(checkout, "assert n < 2").returncode == 1


def test_a_test_starts_outside_the_checkout(tmp_path):
    assert Path.cwd() == tmp_path
