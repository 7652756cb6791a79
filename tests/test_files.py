"""Files that a crash leaves whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest

from shared.files import link, replaced, write_atomically

HALF = """import os, pathlib, signal
from shared.files import replaced
with replaced(pathlib.Path("a.txt")) as temporary:
    temporary.write_text("half of the ne")
    os.kill(os.getpid(), signal.SIGKILL)"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replaced(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path
    assert path.read_text() == "new" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(failure)), replaced(path) as temporary:
        temporary.write_text("half of the ne")
        raise failure
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_kill_9_leaves_the_old_file(tmp_path):
    Path("a.txt").write_text("old")
    assert subprocess.run([sys.executable, "-c", HALF], check=False).returncode == -signal.SIGKILL
    assert Path("a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["a.txt"]


def test_nothing_written_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replaced(path):
        pass
    assert path.read_text() == "old"


def test_writers_of_one_path_do_not_disturb_each_other(tmp_path):
    """Of one process here; on a mounted folder, two machines may have the same process id too."""
    path, both = tmp_path / "a.txt", Barrier(2, timeout=20)

    def write(text):
        with replaced(path) as temporary:
            both.wait()
            temporary.write_text(text)
            both.wait()

    threads = [Thread(target=write, args=(letter * 100_000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 100_000, "b" * 100_000) and names(tmp_path) == ["a.txt"]


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("content"), fsync(file))[1])
    monkeypatch.setattr(Path, "replace", lambda old, new: (done.append("name"), replace(old, new))[1])
    write_atomically(tmp_path / "a.txt", "text")
    assert done == ["content", "name"]


def test_a_link_to_itself_leaves_no_second_name(tmp_path):
    """rename(2) of one of two names of a file over the other does nothing."""
    path = tmp_path / "best.ckpt"
    path.write_text("weights")
    link(path, tmp_path / "last.ckpt")
    link(path, tmp_path / "last.ckpt")
    assert names(tmp_path) == ["best.ckpt", "last.ckpt"]
    assert path.stat().st_nlink == 2
