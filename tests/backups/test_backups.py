"""backup.url: verified copies that bring a run back, and that never hold it up, kill it or go missing in silence."""

import json
import time
from pathlib import Path

import fsspec
import pytest
import torch

from shared.backups.archive import Backup
from shared.backups.remote import FsspecStore, open_store
from shared.backups.stores import LocalStore
from shared.errors import UserError

FAST = ("backup.retries=1", "backup.wait_minutes=0.2")


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "place"


def stored(place: Path, folder: Path) -> Path:
    return place / "imagenet_resnet" / folder.name


def manifests(store: LocalStore) -> list[str]:
    return [name for name in store.names() if name.startswith("manifest")]


def one_event(ended, kind: str) -> str:
    (message,) = ended.events(kind)
    return message


def test_a_new_machine_goes_on_from_the_backup(train, whole, interrupt, place, tmp_path):
    interrupt("training_step", 8)
    broken = train(tmp_path / "here/mine", f"backup.url={place}")
    assert broken.code == 143 and broken.summary["backup"]["status"] == "complete"
    assert broken.summary["backup"]["step"] == 8
    resumed = train(tmp_path / "there/mine", f"backup.url={place}")
    assert (resumed.code, resumed.summary["status"]) == (0, "completed")
    assert resumed.rows == whole.rows and resumed.weights() == whole.weights()
    assert "epoch 2, step 8" in one_event(resumed, "restored")
    assert (resumed.folder / "run_id").read_text() == (broken.folder / "run_id").read_text()
    names = LocalStore(stored(place, resumed.folder)).names()
    assert sum(name.startswith("manifest") for name in names) == 3
    assert not list(resumed.folder.rglob(".backup-*")) and not [n for n in names if n.endswith(".part")]
    back = tmp_path / "back"
    Backup(LocalStore(stored(place, resumed.folder))).restore(back)
    assert (back / "checkpoints/best.ckpt").read_bytes() == (
        resumed.folder / "checkpoints/best.ckpt"
    ).read_bytes()
    assert json.loads((back / "summary.json").read_text())["status"] == "completed"


@pytest.mark.parametrize("damage", ["data lost", "data flipped", "manifest cut"])
def test_a_damaged_newest_backup_is_passed_over(train, whole, place, tmp_path, damage):
    ended = train(tmp_path / "here/mine", f"backup.url={place}")
    newest = ended.summary["backup"]
    there = stored(place, ended.folder)
    data, manifest = there / newest["files"]["checkpoints/last.ckpt"], there / newest["manifest"]
    if damage == "data lost":
        data.unlink()
    elif damage == "data flipped":
        content = bytearray(data.read_bytes())
        content[1000] ^= 1
        data.write_bytes(content)
    else:
        manifest.write_bytes(manifest.read_bytes()[:-10])
    resumed = train(tmp_path / "there/mine", f"backup.url={place}")
    assert resumed.rows == whole.rows and resumed.weights() == whole.weights()
    assert newest["manifest"] in resumed.events("backup_damaged")[0]


@pytest.mark.parametrize("operation", ["names", "read"])
def test_a_new_machine_does_not_begin_anew_while_the_place_is_away(
    train, place, tmp_path, monkeypatch, operation
):
    ended = train(tmp_path / "here/mine", f"backup.url={place}", "trainer.max_epochs=1")

    def refuse(self, *name):
        raise OSError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, operation, refuse)
        early = train(tmp_path / "there/mine", f"backup.url={place}", "trainer.max_epochs=1")
    assert early.code == 2 and not list((early.folder / "checkpoints").iterdir())
    error = early.said.splitlines()[-1]
    assert "no route to host (backup.url): try again, or resume=never to start afresh" in error
    again = train(tmp_path / "there/mine", f"backup.url={place}", "trainer.max_epochs=1")
    assert again.events("restored") and again.weights() == ended.weights()


@pytest.fixture
def moved_on(train, interrupt, monkeypatch, place, tmp_path):
    """`moved_on(...)` trains in `here`, stopped in its second epoch; by now `there` has ended the same run."""
    with monkeypatch.context():
        interrupt("training_step", 8)
        train(tmp_path / "here/mine", f"backup.url={place}", "backup.keep=2")
    monkeypatch.undo()
    train(tmp_path / "there/mine", f"backup.url={place}", "backup.keep=2")
    return lambda *more: train(tmp_path / "here/mine", f"backup.url={place}", "backup.keep=2", *more)


def test_a_disk_that_comes_back_takes_what_another_machine_has_done_since(moved_on, whole):
    ended = moved_on()
    assert ended.rows == whole.rows and ended.weights() == whole.weights()
    told = ended.events("restored")[-1]
    assert "step 15" in told and told.endswith(f"state that was here is kept in {ended.folder}/earlier-1")
    kept = torch.load(ended.folder / "earlier-1/checkpoints/last.ckpt", weights_only=True)
    assert kept["global_step"] == 8
    again = moved_on()
    assert not (again.folder / "earlier-2").exists() and len(again.events("restored")) == 2


def test_a_place_that_is_away_stops_no_run_that_has_checkpoints(moved_on, whole, place, monkeypatch):
    """It goes on from them, and deletes nothing that is further than they are."""
    there = LocalStore(place / "imagenet_resnet/mine")
    steps = {name: json.loads(there.read(name).read())["backup"]["info"]["step"] for name in manifests(there)}

    def refuse(self):
        monkeypatch.setattr(LocalStore, "names", original)
        raise OSError("no route to host")

    original = LocalStore.names
    monkeypatch.setattr(LocalStore, "names", refuse)
    ended = moved_on("trainer.max_epochs=2", "resume_mode=extend", "backup.keep=1")
    assert ended.code == 0 and ended.summary["steps"] == 10
    assert "goes on from what is here: list of backups: no route to host" in one_event(ended, "backup_failed")
    further = {name for name, step in steps.items() if step > 10}
    assert further and further < set(manifests(there))


def test_other_runs_there_are_named_and_never_pruned(train, place, tmp_path):
    first = train(tmp_path / "here/mine", f"backup.url={place}", "trainer.max_epochs=1")
    there = stored(place, first.folder)
    before = set(LocalStore(there).names())
    other = train(tmp_path / "there/other", f"backup.url={place}", "trainer.max_epochs=1")
    assert "holds mine of imagenet_resnet; run_dir=.../NAME continues one" in other.said
    never = ("resume=never", "backup.keep=1", "seed=7")
    again = train(tmp_path / "there/mine", f"backup.url={place}", "trainer.max_epochs=1", *never)
    assert again.summary["backup"]["status"] == "complete"
    assert before <= set(LocalStore(there).names())


@pytest.mark.parametrize(
    "url", ["{run}/checkpoints", "{run}/../..", "{link}", "{run}/checkpoints/../checkpoints"]
)
def test_the_run_folder_itself_is_no_backup(train, tmp_path, url):
    run = tmp_path / "imagenet_resnet/mine"
    run.mkdir(parents=True)
    (tmp_path / "link").symlink_to(run / "checkpoints")
    url = url.format(run=run, link=tmp_path / "link")
    ended = train(run, f"backup.url={url}", "trainer.max_epochs=1")
    assert (ended.code, ended.summary["backup"]["status"]) == (0, "skipped")
    assert "choose another backup.url" in one_event(ended, "backup_skipped")
    assert not list(run.rglob("manifest*")) and ended.said.count("no backups:") == 1


def test_any_fsspec_url_will_do(train, whole, tmp_path):
    url = "memory://bucket/backups"
    ended = train(tmp_path / "here/mine", f"backup.url={url}")
    assert ended.summary["backup"]["status"] == "complete"
    resumed = train(tmp_path / "there/mine", f"backup.url={url}")
    assert resumed.weights() == whole.weights() and "memory://" in one_event(resumed, "restored")
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_a_store_behaves_as_the_policy_expects():
    store = FsspecStore("memory://store/deep")
    assert store.names() == []
    with pytest.raises(FileNotFoundError):
        store.read("nothing")
    with store.write("a.part") as file:
        file.write(b"text")
    store.rename("a.part", "a")
    assert store.names() == ["a"]
    with store.read("a") as file:
        assert (file.read(2), file.read()) == (b"te", b"xt")
    store.delete("a")
    store.delete("a")
    assert store.names() == []


@pytest.mark.parametrize("subdir", ["job_${hydra.job.num}", "seed_${seed}"])
def test_each_sweep_has_a_backup_of_its_own(train, place, tmp_path, subdir):
    def jobs(folder: Path) -> tuple[list[str], list[str]]:
        sweep = ("-m", "seed=1,2", f"hydra.sweep.subdir={subdir}", "trainer.max_epochs=1")
        assert train(folder, *sweep, f"backup.url={place}").code == 0
        found = sorted(path.parent for path in folder.glob("*/run_id"))
        events = [json.loads((job / "summary.json").read_text())["events"] for job in found]
        restored = [each["message"] for job in events for each in job if each["kind"] == "restored"]
        return [(job / "run_id").read_text() for job in found], restored

    first, restored = jobs(tmp_path / "here/one")
    assert not restored
    second, restored = jobs(tmp_path / "here/two")
    assert not restored and len({*first, *second}) == 4
    again, restored = jobs(tmp_path / "there/one")
    assert again == first and len(restored) == 2 and "/imagenet_resnet/one/" in restored[0]


@pytest.mark.parametrize(
    "url, words",
    [
        ("s3://bucket/backups", "pip install s3fs"),
        ("nope://x", "nope:// is unknown"),
        ("sftp://me:secret@nas/backups", "use a key"),
    ],
)
def test_urls_that_cannot_work_are_errors(url, words):
    with pytest.raises(UserError, match=r"\(backup.url\)") as error:
        open_store(url)
    assert words in str(error.value) and "secret" not in str(error.value)


def test_a_place_that_fails_never_kills_the_run(train, whole, place, monkeypatch):
    def refuse(self, name):
        raise RuntimeError("the dog ate it")

    monkeypatch.setattr(LocalStore, "write", refuse)
    ended = train(None, f"backup.url={place}", *FAST)
    assert (ended.code, ended.summary["status"]) == (0, "completed") and ended.weights() == whole.weights()
    assert ended.summary["backup"]["status"] == "failed"
    assert "the dog ate it" in ended.summary["backup"]["cause"]
    assert ended.events("backup_failed") and "the dog ate it" in ended.said


def test_a_place_that_hangs_is_waited_for_only_so_long(train, place, monkeypatch):
    monkeypatch.setattr(LocalStore, "rename", lambda *names: time.sleep(60))
    began = time.monotonic()
    ended = train(None, f"backup.url={place}", "backup.wait_minutes=0.03", "trainer.max_epochs=1")
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert time.monotonic() - began < 40
    assert "was not finished" in one_event(ended, "backup_incomplete")
    assert "sent so far, waiting up to" in ended.said


def test_a_place_that_recovers_is_used_again(train, place, monkeypatch, tmp_path):
    tries = []
    original = LocalStore.write

    def write(self, name):
        tries.append(name)
        if len(tries) < 4:
            raise OSError("server closed the connection")
        return original(self, name)

    monkeypatch.setattr(LocalStore, "write", write)
    ended = train(tmp_path / "mine", f"backup.url={place}", "backup.retries=0")
    assert ended.summary["backup"]["status"] == "complete"
    assert ended.events("backup_recovered") and "server closed" in ended.events("backup_failed")[0]
