"""A run folder belongs to the process that trains in it, and to nobody once that is dead."""

import errno
import subprocess
import sys
from contextlib import contextmanager

import pytest

from shared.errors import UserError
from shared.processes import lock

HOLD = """import os, sys, time; from pathlib import Path; from shared.processes.lock import locked
with locked(Path(sys.argv[1])):
    os.fork() and print("held", flush=True)  # a forked worker lives on for seconds
    time.sleep(20)"""


@contextmanager
def another(folder):
    """Another process that trains in `folder`, killed in the end."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("more", [[], ["-m"]], ids=["run", "sweep"])
def test_a_run_where_another_process_trains_is_refused_and_leaves_it_alone(tiny, tmp_path, more):
    folder = tmp_path / "run" / "job_0" if more else tmp_path / "run"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("its own")
    with another(folder):
        refused = tiny(*more)
    assert refused.code == 2 and "another process trains in" in refused.err
    assert len(refused.err.strip().splitlines()) == 1 and "(run_dir): choose another" in refused.err
    assert (folder / "summary.json").read_text() == "its own"
    assert not (folder / "checkpoints").exists() and not (folder / "train.log").read_text()


def test_the_folder_of_a_process_that_was_killed_is_free_at_once(tmp_path):
    with another(tmp_path), pytest.raises(UserError, match="another process"), lock.locked(tmp_path):
        pass
    with lock.locked(tmp_path):
        pass


def test_other_ranks_of_the_run_take_no_lock(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("shared.command.runner.rank", lambda: 1)
    monkeypatch.setattr("shared.command.runner.follow", lambda cfg, folder, framework: 0.0)
    with another(tmp_path / "run"):
        assert tiny().code == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_drive_without_locks_is_no_obstacle(tmp_path, monkeypatch, number):
    def none(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(lock.fcntl, "lockf", none)
    with lock.locked(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), lock.locked(tmp_path / "missing"):
        raise ZeroDivisionError
