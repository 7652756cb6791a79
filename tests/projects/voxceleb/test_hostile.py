"""Wrong paths, lists and recordings, given to the real command: one line, exit code 2, nothing written."""

import re
import shutil

import numpy as np
import pytest

from projects.voxceleb.audio.waves import write_wave
from shared.command.cli import train
from tests.projects.voxceleb.test_formats import REFUSED
from tests.projects.voxceleb.test_lists import REFUSED as LISTS

GOOD = ["data=voxceleb", "data.root={root}", "data.train=train", "data.val=val", "data.trials=trials.txt"]
SMALL = ["hardware=cpu", "hardware.workers=0", "logger=csv", "trainer.max_epochs=1", "model.embedding=8"]
SMALL += [
    "effective_batch_size=2",
    "data.max_frames=50",
    "data.augment=null",
    "trainer.limit_train_batches=2",
]
OVERRIDES = {
    "no root": (["data=voxceleb"], "data.root"),
    "an empty root": (["data=voxceleb", "data.root=''"], "no path is given"),
    "nowhere": (["data=voxceleb", "data.root=/nowhere"], "/nowhere"),
    "a bucket": (["data=voxceleb", "data.root=s3://bucket/vox"], "s3://bucket/vox is a URL"),
    "a bucket, but synthetic speech": (["data.root=gs://bucket"], "for data of your own add data=voxceleb"),
    "speech, but synthetic speech": (["data.root={root}"], "for data of your own add data=voxceleb"),
    "a new folder, but synthetic speech": (["data.root={here}/new"], "add data=voxceleb"),
    "training behind a URL": ([*GOOD, "data.train=s3://bucket/train"], r"is a URL \(data\.train\)"),
    "trials' files behind a URL": ([*GOOD, "data.val=https://x.org/val"], r"is a URL \(data\.val\)"),
    "trials behind a URL": ([*GOOD, "data.trials=https://x.org/t.txt"], r"is a URL \(data\.trials\)"),
    "a list behind a URL": ([*GOOD, "data.train_list=https://x.org/l.txt"], r"is a URL \(data\.train_list\)"),
    "scores to a URL": ([*GOOD, "eval.scores=s3://bucket/s.txt"], r"is a URL \(eval\.scores\)"),
    "noise behind a URL": (
        [*GOOD, "data.augment={_target_: projects.voxceleb.audio.augment.Augment, musan: 's3://b/musan'}"],
        r"is a URL \(data\.augment\.musan\)",
    ),
    "noise that is not there": (
        [*GOOD, "data.augment={_target_: projects.voxceleb.audio.augment.Augment, rir: /nowhere}"],
        r"no WAV files in /nowhere/\. \(data\.augment\.rir\)",
    ),
    "no such folder": ([*GOOD, "data.train=training"], "no folder .*training"),
    "no such trials": ([*GOOD, "data.trials=gone.txt"], "gone.txt: No such file"),
    "a folder of trials": ([*GOOD, "data.trials=val"], "Is a directory"),
    "no such list": ([*GOOD, "data.train_list=gone.txt"], "gone.txt: No such file"),
    "a list of words": ([*GOOD, "data.train_list=words.txt"], "line 2 of .*words.txt is one word"),
    "speakers of the trials": ([*GOOD, "data.train=val"], "no speakers to train on: all 4 are in the trials"),
    "more speakers than there are": ([*GOOD, "data.speakers=99"], "only 6 speakers"),
}  # fmt: skip


def each(pattern, change):
    def work(root):
        for path in sorted(root.glob(pattern)):
            change(path)

    return work


FOLDERS = {
    "only M4A": (each("train/*/*/*", lambda path: path.rename(path.with_suffix(".m4a"))), r"left out: 24 \.m4a"),
    "no files": (each("train/*/*/*", lambda path: path.unlink()), "no speakers to train on"),
    "files without speakers": (
        each("train/*/*/*", lambda path: path.rename(path.parents[2] / f"{path.parents[1].name}{path.name}")),
        "no speakers to train on",
    ),
    "only hidden folders": (
        each("train/*", lambda path: path.rename(path.with_name(f".{path.name}"))), "left out: 6 hidden",
    ),
    "a trial's file is gone": (each("val/*/session0/00000.wav", lambda path: path.unlink()), "data.val"),
    "a dead link": (
        each("val/*/session0/00000.wav", lambda path: path.unlink() or path.symlink_to("/gone")), "data.val",
    ),
}  # fmt: skip


@pytest.fixture
def refuse(command, speech, tmp_path):
    """Run the command on good speech that was changed: what it says, and that nothing came to be but the run."""

    def run(words, why, change=lambda root: None):
        root = tmp_path / "my speech"
        shutil.copytree(speech, root)
        (root / "generated.json").unlink()
        (root / "words.txt").write_text("a b\nword\n")
        change(root)
        before = listing(tmp_path)
        words = [word.replace("{root}", str(root)).replace("{here}", str(tmp_path)) for word in words]
        ended = command(train, "voxceleb", *SMALL, *words, f"run_dir={tmp_path / 'run'}")
        lines = [line for line in ended.err.splitlines() if line.startswith("error:")]
        assert ended.code == 2 and len(lines) == 1 and "Traceback" not in ended.err, ended.err[-3000:]
        assert re.search(why, lines[0]), lines[0]
        assert [path for path in listing(tmp_path) if not path.startswith(str(tmp_path / "run"))] == before

    return run


def listing(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", OVERRIDES)
def test_wrong_settings(refuse, case):
    words, why = OVERRIDES[case]
    small = [word for word in words if not word.startswith("data.augment=")]
    refuse(small + [word for word in words if word.startswith("data.augment=")], why)


@pytest.mark.parametrize("case", FOLDERS)
def test_wrong_folders(refuse, case):
    change, why = FOLDERS[case]
    refuse(GOOD, why, change)


def some(cases):
    """A tenth of the cases: other tests go through all of them in no time, here each takes a second."""
    return [
        case if n % 10 == 0 else pytest.param(case, marks=pytest.mark.slow) for n, case in enumerate(cases)
    ]


@pytest.mark.parametrize("case", some(LISTS))
def test_wrong_trials(refuse, case):
    data, why = LISTS[case]
    refuse(GOOD, why, lambda root: (root / "trials.txt").write_bytes(data))


@pytest.mark.parametrize("case", some(REFUSED))
def test_wrong_recordings(refuse, case):
    data, why = REFUSED[case]
    change = each("train/id00000/session0/00000.wav", lambda path: path.write_bytes(data))
    words = ["data.max_corrupt=0", "trainer.limit_train_batches=1.0", "data.max_seg_per_spk=4"]
    refuse([*GOOD, *words], f"00000.wav: .*({why}).*data.max_corrupt", change)


def test_rotten_noise_is_named_for_itself(refuse, tmp_path):
    for kind in ("noise", "music", "speech"):
        (tmp_path / "musan" / kind).mkdir(parents=True)
        (tmp_path / "musan" / kind / "a.wav").write_bytes(b"nothing")
    augment = f"{{_target_: projects.voxceleb.audio.augment.Augment, musan: {tmp_path / 'musan'}, probability: 1.0}}"
    refuse(
        [*GOOD, f"data.augment={augment}", "trainer.limit_train_batches=1.0"],
        r"a\.wav: .*data\.augment\.musan",
    )


def test_flac_in_capitals_and_links_are_found(speech, tmp_path):
    from projects.voxceleb.data import scan

    shutil.copytree(speech / "train", tmp_path / "train")
    first = sorted((tmp_path / "train").rglob("*.wav"))[0]
    first.rename(first.with_suffix(".WAV"))
    write_wave(tmp_path / "pool.wav", np.ones(4000))
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool.wav").rename(tmp_path / "pool" / "1.wav")
    speaker = first.parents[1]
    (speaker / "linked").symlink_to(tmp_path / "pool")
    (speaker / "back").symlink_to(tmp_path / "train")
    found = scan(tmp_path / "train")
    assert len(found) == 25 and sum(name == speaker.name for _, name in found) == 5
