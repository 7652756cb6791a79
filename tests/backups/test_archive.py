"""Backups: whatever is lost or altered in the store, the newest whole backup comes back."""

import hashlib
import io
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backups.archive import Backup, BackupError
from shared.backups.stores import LocalStore


class Killed(BaseException):
    """The process dies here."""


class MemoryStore:
    """A store in memory; `fail(operation, name)`, asked before each operation, may raise."""

    path = None

    def __init__(self, fail=lambda operation, name: None) -> None:
        self.files: dict[str, bytes] = {}
        self.fail = fail

    def names(self) -> list[str]:
        self.fail("names", "")
        return list(self.files)

    def read(self, name: str) -> io.BytesIO:
        self.fail("read", name)
        if name not in self.files:
            raise FileNotFoundError(f"no {name}")
        return io.BytesIO(self.files[name])

    def write(self, name: str) -> io.BytesIO:
        self.files[name] = b""
        self.fail("write", name)
        store = self.files

        class Sink(io.BytesIO):
            def close(self) -> None:
                store[name] = self.getvalue()
                super().close()

        return Sink()

    def rename(self, old: str, new: str) -> None:
        self.fail("rename", old)
        self.files[new] = self.files.pop(old)

    def delete(self, name: str) -> None:
        self.fail("delete", name)
        self.files.pop(name, None)

    def nothing_partial_has_its_final_name(self) -> bool:
        data = {
            name: text for name, text in self.files.items() if name[:5] == "data-" and name[-5:] != ".part"
        }
        return all(hashlib.sha256(text).hexdigest()[:16] == name[5:21] for name, text in data.items())


def write(folder: Path, **files: str) -> dict[str, Path]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in files}


def restored(backup: Backup) -> tuple[dict[str, str], list[str]]:
    with TemporaryDirectory() as folder:
        result = backup.restore(Path(folder))
        files = {path.name: path.read_text() for path in Path(folder).iterdir()}
    return files, result.skipped


def quiet(store, **settings) -> Backup:
    return Backup(store, **{"retries": 0, "sleep": lambda seconds: None, **settings})


def test_a_folder_holds_readable_files_and_gives_them_back(tmp_path):
    store = LocalStore(tmp_path / "drive" / "run")
    assert Backup(store).restore(tmp_path / "none").manifest is None
    (tmp_path / "run").mkdir()
    files = write(tmp_path / "run", last="weights", best="weights", log="1,2")
    manifest = Backup(store).save({"checkpoints/last": files["last"], **files}, {"epoch": 3})
    data = {entry.object for entry in manifest.files.values()}
    assert sorted(name[22:] for name in data) == ["last", "log"]  # equal files are stored once
    assert set(store.names()) == {*data, "manifest-00000001.json"}
    result = Backup(LocalStore(tmp_path / "drive" / "run")).restore(tmp_path / "new")
    assert result.manifest == manifest and result.skipped == [] and manifest.info == {"epoch": 3}
    assert (tmp_path / "new/checkpoints/last").read_text() == "weights"
    assert (tmp_path / "new/log").read_text() == "1,2"
    assert not list((tmp_path / "new").rglob("*.part"))


versions = st.lists(st.sampled_from("abcd"), min_size=1, max_size=5)


@given(versions, st.data())
def test_restore_gives_the_newest_backup_that_is_whole(texts, data):
    store, contents, parts = MemoryStore(), [], []
    with TemporaryDirectory() as folder:
        for i, text in enumerate(texts):
            contents.append({"last": text, "log": f"{text}{i}"})
            manifest = quiet(store).save(write(Path(folder), **contents[-1]))
            parts.append({manifest.name, *(entry.object for entry in manifest.files.values())})
    damaged = data.draw(st.lists(st.sampled_from(sorted(store.files)), unique=True))
    for name in damaged:
        damage(store, name, data)
    whole = [i for i, names in enumerate(parts) if not names & set(damaged)]

    files, skipped = restored(quiet(store))
    assert files == (contents[whole[-1]] if whole else {})
    newer = parts[whole[-1] + 1 :] if whole else parts
    assert len(skipped) == len(set().union(*newer) & {name for name in store.files if "manifest" in name})

    before = dict(store.files)
    keep = data.draw(st.integers(1, 3))
    gone = quiet(store).prune(keep)
    assert not set(gone) & set().union(*(parts[i] for i in whole[-keep:]))
    assert len(whole) >= keep or store.files == before
    assert restored(quiet(store))[0] == files


def damage(store: MemoryStore, name: str, data: st.DataObject) -> None:
    harm = data.draw(st.sampled_from(["lost", "cut", "flipped"]))
    text = bytearray(store.files.pop(name))
    text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if harm != "lost":
        store.files[name] = bytes(text) if harm == "flipped" else bytes(text[:-1])


@given(versions, st.integers(0, 60))
def test_a_kill_at_any_operation_loses_only_the_backup_being_written(texts, deadline):
    left = iter(range(deadline))

    def die(operation: str, name: str) -> None:
        if next(left, None) is None:
            raise Killed

    store, done = MemoryStore(die), 0
    with TemporaryDirectory() as folder:
        try:
            for text in texts:
                backup = quiet(store)
                backup.save(write(Path(folder), last=text))
                done += 1
                backup.prune()
        except Killed:
            pass
    store.fail = lambda operation, name: None
    assert store.nothing_partial_has_its_final_name()
    files, skipped = restored(quiet(store))
    assert skipped == []
    in_flight = texts[done : done + 1]
    assert files.get("last") in [*texts[done - 1 : done], *in_flight, *([None] if done == 0 else [])]
    with TemporaryDirectory() as folder:
        backup = quiet(store)
        backup.save(write(Path(folder), last="next"))
        backup.prune(keep=1)
    assert len(store.files) == 2 and restored(backup)[0] == {"last": "next"}


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=6), st.integers(1, 3))
def test_prune_keeps_the_newest_good_ones_and_foreign_files(texts, keep):
    store = MemoryStore()
    store.files = {"holiday.jpg": b"1", "data-report.csv": b"2", "manifest.json": b"3"}
    backup = quiet(store)
    with TemporaryDirectory() as folder:
        for text in texts:
            backup.save(write(Path(folder), last=text))
            backup.prune(keep)
    manifests = [name for name in store.files if name.startswith("manifest-")]
    assert len(manifests) == min(keep, len(texts))
    assert sum(name.startswith("data-") for name in store.files) == 1 + len(set(texts[-keep:]))
    assert {"holiday.jpg", "data-report.csv", "manifest.json"} <= set(store.files)
    with pytest.raises(ValueError, match=r"^keep must"):
        backup.prune(0)


def test_prune_leaves_the_backups_of_other_runs_alone(tmp_path):
    store = MemoryStore()
    backup = quiet(store)
    for run, text in [("theirs", "a"), ("ours", "b"), ("theirs", "c"), ("ours", "d"), ("ours", "e")]:
        backup.save(write(tmp_path, last=text), {"run": run})
    backup.prune(1, lambda info: info["run"] == "ours")
    kept = sorted(text for name, text in store.files.items() if name.startswith("data-"))
    assert kept == [b"a", b"c", b"e"]


def test_prune_waits_while_the_newer_backup_does_not_verify(tmp_path):
    store = MemoryStore()
    backup = quiet(store)
    for text in ("old", "new"):
        backup.save(write(tmp_path, last=text))
    (lost,) = (name for name in store.files if store.files[name] == b"new")
    del store.files[lost]
    before = dict(store.files)
    assert backup.prune(keep=1) == [] and store.files == before


def test_failures_are_logged_and_tried_again_ever_more_slowly(tmp_path, caplog):
    failures = iter(["connection lost"] * 3)

    def fail(operation: str, name: str) -> None:
        if operation == "write" and (cause := next(failures, None)):
            raise ConnectionError(cause)

    waits: list[float] = []
    store = MemoryStore(fail)
    with caplog.at_level(logging.WARNING):
        Backup(store, retries=3, delay=0.5, sleep=waits.append).save(write(tmp_path, last="text"))
    assert waits == [0.5, 1.0, 2.0]
    assert caplog.messages[0] == "backup of last failed (connection lost); trying again in 0.5 s"
    assert restored(quiet(store))[0] == {"last": "text"}


def test_a_store_that_loses_bytes_yields_an_error_and_no_backup(tmp_path):
    store = MemoryStore()

    def cut(operation: str, name: str) -> None:
        if operation == "read" and name in store.files:
            store.files[name] = store.files[name][:2]

    store.fail = cut
    with pytest.raises(BackupError, match=r"^last: data-\w{16}-last has 2 bytes, not 4$"):
        quiet(store, retries=2).save(write(tmp_path, last="text"))
    assert store.files == {}


def test_restore_leaves_the_folder_alone_unless_a_whole_backup_is_there(tmp_path):
    store = MemoryStore()
    quiet(store).save(write(tmp_path, last="backup", log="backup"))
    del store.files[next(name for name in store.files if name.endswith("-last"))]
    write(tmp_path, last="mine", log="mine")
    result = quiet(store).restore(tmp_path)
    assert result.manifest is None
    assert result.skipped[0].startswith("manifest-00000001.json: last: no data-")
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["mine"] * 2


@pytest.mark.parametrize("operation, part", [("names", ""), ("read", "manifest-00000002"), ("read", "-last")])
def test_what_cannot_be_read_now_is_no_reason_to_take_an_older_backup(tmp_path, operation, part):
    store = MemoryStore()
    for text in ("old", "new"):
        quiet(store).save(write(tmp_path, last=text))

    def fail(what: str, name: str) -> None:
        if what == operation and part in name:
            raise ConnectionError("no route to host")

    store.fail = fail
    with pytest.raises(BackupError, match="no route to host"):
        quiet(store, retries=1).restore(tmp_path / "new")
    assert not (tmp_path / "new/last").exists()
    store.fail = lambda operation, name: None
    assert restored(quiet(store)) == ({"last": "new"}, [])


def test_prune_deletes_nothing_of_which_it_cannot_know_whose_it_is(tmp_path):
    store = MemoryStore()
    for run in ("theirs", "ours", "ours"):
        quiet(store).save(write(tmp_path, last=run), {"run": run})
    before = dict(store.files)

    def fail(what: str, name: str) -> None:
        if name == "manifest-00000001.json":
            raise ConnectionError("no route to host")

    store.fail = fail
    with pytest.raises(BackupError):
        quiet(store).prune(1, lambda info: info["run"] == "ours")
    assert store.files == before


def test_a_file_is_hashed_anew_only_when_it_changes(tmp_path, monkeypatch):
    sizes: list[int] = []
    backup = quiet(MemoryStore(), sent=sizes.append)
    files = write(tmp_path, last="text")
    for _ in range(2):
        backup.save(files)
    assert sizes[0] == 4 and 4 not in sizes[1:]  # then manifests only
    monkeypatch.setattr("shared.backups.archive.read_hashed", lambda *_: pytest.fail("read again"))
    with files["last"].open("rb") as source:
        assert backup._hash(source)[0] == 4
    monkeypatch.undo()
    files["last"].write_text("longer")
    assert {entry.size for entry in backup.save(files).files.values()} == {6}


def test_a_data_file_that_went_bad_is_written_anew(tmp_path):
    store = MemoryStore()
    quiet(store).save(write(tmp_path, last="text"))
    name = next(name for name in store.files if name.endswith("-last"))
    store.files[name] = b"tExt"
    quiet(store).save(write(tmp_path, last="text"))
    assert store.files[name] == b"text"
