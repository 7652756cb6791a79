"""Real file systems that fill up or refuse: the run ends well, says what was wrong and deletes nothing good."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from projects.imagenet_resnet.task import Classification


@pytest.fixture
def mount(tmp_path):
    """`mount(folder, "-t", "tmpfs", ...)`, undone after the test."""
    mounted: list[Path] = []

    def run(folder: Path, *arguments: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield run
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def at_step(monkeypatch):
    """`at_step(7, action)`: do something at the beginning of a training step (from 1)."""
    actions = {}
    original, count = Classification.training_step, iter(range(1, 10_000))

    def step(self, *arguments):
        actions.get(next(count), lambda: None)()
        return original(self, *arguments)

    monkeypatch.setattr(Classification, "training_step", step)
    return actions.__setitem__


def fill(folder: Path, spare: int = 0) -> None:
    """Leave `spare` bytes free: with some, a file breaks off in the middle."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - spare)


def test_a_disk_that_is_full_for_a_while_costs_checkpoints_only(train, whole, mount, at_step, tmp_path):
    disk = mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    at_step(8, lambda: fill(disk, spare=8192))
    at_step(14, (disk / "ballast").unlink)
    ended = train(disk / "run")
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert ended.rows == whole.rows and ended.weights() == whole.weights()
    (failed,) = ended.events("checkpoint_failed")
    assert failed.startswith("checkpoint of step 10 not written: No space left on device")
    assert not list((ended.folder / "checkpoints").glob(".*"))


def test_a_disk_that_stays_full_keeps_the_last_good_checkpoint(train, whole, mount, at_step, tmp_path):
    disk = mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    at_step(8, lambda: fill(disk))
    ended = train(disk / "run")
    assert ended.code == 2
    error = ended.said.splitlines()[-1]
    assert error.startswith("error: cannot write: No space left on device") and "make room" in error
    assert ended.state()["trainyard"]["step"] == 5
    (disk / "ballast").unlink()
    resumed = train(disk / "run")
    assert (resumed.code, resumed.summary["status"]) == (0, "completed")
    assert resumed.rows == whole.rows and resumed.weights() == whole.weights()


def test_a_full_backup_disk_keeps_the_good_backup(train, whole, mount, at_step, tmp_path):
    disk = mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    at_step(8, lambda: fill(disk, spare=8192))
    ended = train(tmp_path / "here/mine", f"backup.url={disk}", "backup.retries=0")
    assert (ended.code, ended.summary["status"]) == (0, "completed") and ended.weights() == whole.weights()
    assert "No space left on device" in ended.events("backup_failed")[0]
    assert ended.summary["backup"]["status"] == "incomplete" and ended.summary["backup"]["step"] in (0, 5)
    assert not list(disk.rglob("*.part"))
    resumed = train(tmp_path / "there/mine", f"backup.url={disk}", "backup.retries=0")
    assert resumed.weights() == whole.weights() and "restored from" in resumed.events("restored")[0]


def test_a_read_only_backup_folder_is_named(train, mount, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    mount(place, "--bind", str(place))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    ended = train(None, f"backup.url={place}", "backup.retries=0", "trainer.max_epochs=1")
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert "Read-only file system" in ended.events("backup_failed")[0]
    assert ended.summary["backup"]["status"] == "failed" and list(place.iterdir()) == []


def test_a_bind_mount_of_the_checkpoints_is_no_backup(train, mount, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    other = mount(tmp_path / "elsewhere", "--bind", str(run / "checkpoints"))
    ended = train(run, f"backup.url={other}", "trainer.max_epochs=1")
    assert (ended.code, ended.summary["backup"]["status"]) == (0, "skipped")
    assert len(ended.events("backup_skipped")) == 1
