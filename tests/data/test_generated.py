"""Generated data sets appear whole or not at all, once, and are verified."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared.data.generated import make_once
from shared.errors import UserError


def write_two(folder):
    (folder / "a").mkdir()
    (folder / "a" / "1.txt").write_text("one")
    (folder / "2.txt").write_text("two")


def test_made_once(tmp_path):
    calls = []
    for _ in range(2):
        make_once(tmp_path / "deep" / "set", lambda folder: calls.append(1) or write_two(folder), "v1")
    assert len(calls) == 1
    assert (tmp_path / "deep/set/a/1.txt").read_text() == "one"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["set"]


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(folder):
        write_two(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_once(tmp_path / "set", fail, "v1")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_race(tmp_path):
    barrier = Barrier(2)

    def write(folder):
        write_two(folder)
        barrier.wait(timeout=10)

    with ThreadPoolExecutor() as pool:
        for job in [pool.submit(make_once, tmp_path / "set", write, "v1") for _ in range(2)]:
            job.result()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def changed(folder):
    (folder / "2.txt").write_text("three")


def removed(folder):
    (folder / "2.txt").unlink()


def added(folder):
    (folder / "3.txt").touch()


def unmarked(folder):
    (folder / "generated.json").unlink()


@pytest.mark.parametrize("harm", [changed, removed, added, unmarked])
def test_harm_is_noticed_and_the_folder_named(tmp_path, harm):
    make_once(tmp_path / "set", write_two, "v1")
    harm(tmp_path / "set")
    with pytest.raises(UserError) as caught:
        make_once(tmp_path / "set", write_two, "v1")
    assert caught.value.where == str(tmp_path / "set")


def test_another_recipe_is_noticed(tmp_path):
    make_once(tmp_path / "set", write_two, "v1")
    with pytest.raises(UserError):
        make_once(tmp_path / "set", write_two, "v2")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/set"):
        make_once(tmp_path / "file" / "set", write_two, "v1")
