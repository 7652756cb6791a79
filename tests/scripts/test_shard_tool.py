"""scripts/shard.py as a command, and training on what it packed."""

import importlib.util
import re
import shutil
import sys

import pytest

from projects.imagenet_resnet.digits import write_digits
from projects.voxceleb.audio.waves import write_wave
from shared.data.shards.reader import Shards
from tests.conftest import ROOT, rows
from tests.data.test_decoding import FILES
from tests.data.test_kinds import NAMED


@pytest.fixture
def shard(capsys, monkeypatch):
    """`shard("pack", "image", ...)`: exit code, stdout and stderr, in this process."""
    spec = importlib.util.spec_from_file_location("script_shard", ROOT / "scripts" / "shard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["shard.py", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            module.main(module.parser(), lambda args: args.work(args))
        streams = capsys.readouterr()
        return end.value.code, streams.out, streams.err

    return run


def test_training_on_packed_digits_gives_the_same_numbers(shard, tiny, tmp_path):
    write_digits(tmp_path / "digits")
    code, out, _ = shard(
        "pack", "image", tmp_path / "digits", tmp_path / "packed", "--per-shard", 500, "--jobs", 2
    )
    assert code == 0 and "train: 1,437 samples" in out and "val: 360 samples" in out
    assert shard("verify", tmp_path / "packed")[:2] == (0, "2 splits, 0 problems\n")
    found = []
    for data, place in (("imagenet", "digits"), ("imagenet_shards", "packed")):
        ended = tiny(f"data={data}", f"data.root={tmp_path / place}")
        assert ended.code == 0, ended.err
        found.append(rows(ended.run_dir))
        shutil.rmtree(ended.run_dir)
    assert found[0] == found[1] and len(found[0]) > 1


def test_a_plan_writes_nothing(shard, tmp_path):
    write_digits(tmp_path / "digits")
    code, out, _ = shard(
        "pack", "image", tmp_path / "digits", tmp_path / "packed", "--short-side", 6, "--plan"
    )
    assert code == 0 and "1,437 samples" in out and "hours of processor time" in out
    assert not (tmp_path / "packed").exists()


def test_sound_is_packed_by_speaker(shard, tmp_path):
    for speaker in ("id1", "id2"):
        (tmp_path / "set" / "train" / speaker / "video").mkdir(parents=True)
        write_wave(tmp_path / "set" / "train" / speaker / "video" / "a.wav", [0.1, -0.1] * 100)
    assert shard("pack", "audio", tmp_path / "set", tmp_path / "packed")[0] == 0
    shards = Shards(tmp_path / "packed" / "train")
    assert [shards.text(row) for row in range(len(shards))] == ["id1", "id2"]
    assert shards.read(1) == (tmp_path / "set/train/id2/video/a.wav").read_bytes()


@pytest.mark.parametrize("shrink", [[], ["--short-side", 32]])
def test_every_file_is_packed_or_named_with_its_reason(shard, tmp_path, shrink):
    for folder in ("train/odd", "train/even", "val/odd", "val/even"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        shutil.copy(FILES / "photo.jfif", tmp_path / "set" / folder)
    for path in FILES.iterdir():
        shutil.copy(path, tmp_path / "set" / "train" / "odd")
    for number, (data, _) in enumerate(NAMED.values()):
        (tmp_path / "set" / "train" / "odd" / f"{number}.png").write_bytes(data)
    code, out, _ = shard(
        "pack", "image", tmp_path / "set", tmp_path / "out", "--max-corrupt", 100, "--jobs", 1, *shrink
    )
    assert code == 0 and "note: left out of train/: 2 .jp2" in out
    files = sum(path.is_file() for path in (tmp_path / "set" / "train").rglob("*"))
    packed = int(re.search(r"train: (\d+) samples", out)[1])
    left_out = [line for line in out.splitlines() if line.startswith("train: left out ")]
    assert packed + len(left_out) + 2 == files
    assert all(re.search(r"train/odd/\S+: .{10}", line) for line in left_out)
    odd = [line for line in out.splitlines() if line.startswith("train: odd: ")]
    assert len(odd) == (4 if shrink else 0)  # only what is decoded can be seen to be odd
    assert f"train: {len(left_out)} left out, {len(odd)} odd" in out
    if shrink:
        assert len(left_out) == len(NAMED) + 1  # jpeg2000_named.jpg


def test_sound_that_is_not_read_is_counted(shard, tmp_path):
    (tmp_path / "set" / "dev" / "id1").mkdir(parents=True)
    (tmp_path / "set" / "txt" / "id1").mkdir(parents=True)
    write_wave(tmp_path / "set" / "dev" / "id1" / "a.wav", [0.1, -0.1] * 100)
    (tmp_path / "set" / "dev" / "id1" / "b.m4a").touch()
    (tmp_path / "set" / "txt" / "id1" / "b.txt").touch()
    code, out, _ = shard("pack", "audio", tmp_path / "set", tmp_path / "out")
    assert code == 0 and "left out of dev/: 1 .m4a" in out and "no speakers in txt/" in out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dev"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pack", "image", "nowhere", "out"], "no such folder"),
        (["pack", "audio", ".", "out", "--quality", "90"], "no size in pixels"),
        (["pack", "image", ".", "out", "--quality", "101"], "from 1 to 100"),
        (["pack", "image", "s3://bucket/images", "out"], "is a URL"),
        (["pack", "image", ".", "s3://bucket/packed"], "is a URL"),
        (["verify", "gs://bucket/packed"], "is a URL"),
        (["verify", "nowhere"], "no finished shards"),
    ],
)
def test_mistakes_end_in_one_line(shard, arguments, words):
    code, _, err = shard(*arguments)
    assert code == 2 and words in err and "Traceback" not in err
