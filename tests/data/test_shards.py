"""Shards: packed in parallel, gone on with, verified; read by number from a folder or a URL, exactly as the files."""

import io
import json
import os
import tarfile
from collections import Counter

import fsspec
import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from shared.data.image_dataset import Files, ImageDataset
from shared.data.images import encode_jpeg, jpeg_quality, shrink_file
from shared.data.shards import stores as shard_stores
from shared.data.shards.packing import pack, verify
from shared.data.shards.reader import Shards
from shared.data.shards.writer import Recipe, Sample, read_file
from shared.data.views import TrainView
from shared.errors import UserError
from shared.lightning.loader import make_loader
from shared.ocr.lines.tables import find_table, image_bytes, read_table

RAW = Recipe("image", per_shard=7)


@pytest.fixture
def samples(tmp_path, photo):
    """23 crops of a photograph in three classes."""
    made = []
    for number in range(23):
        path = tmp_path / "files" / f"class{number % 3}" / f"{number:02d} é.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(photo[number : number + 90, 20 * number : 20 * number + 120]))
        made.append(Sample(str(path), f"class{number % 3}/{path.name}", f"class{number % 3}"))
    return made


@pytest.fixture
def packed(samples, tmp_path):
    pack(samples, tmp_path / "packed", RAW, read_file, jobs=2)
    return tmp_path / "packed"


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(UserError, match=r"password.*data\.root") as refused:
        Shards("sftp://me:hush@nas/shards")
    assert "hush" not in str(refused.value)


def test_every_sample_comes_back_in_the_order_of_the_files(samples, packed):
    shards = Shards(packed)
    assert len(shards) == 23 and shards.classes == ["class0", "class1", "class2"]
    for row, sample in enumerate(samples):
        assert shards.read(row) == read_file(sample.source)
        assert shards.text(row) == sample.label and shards.name(row) == f"{packed}/{sample.name}"
    assert verify(packed) == []


def test_the_layout_is_that_of_webdataset(samples, packed):
    """A sample is the run of files with one key, and other readers meet the classes mixed."""
    assert sorted(path.name for path in packed.iterdir()) == [
        "index.npz",
        *(f"shard-{n:06d}.tar" for n in range(4)),
        "shards.json",
    ]
    with tarfile.open(packed / "shard-000000.tar") as tar:
        names = tar.getnames()
        labels = [int(tar.extractfile(name).read()) for name in names[1::2]]
    keys = [name.split(".")[0] for name in names]
    assert keys[::2] == keys[1::2] and [name.split(".")[1] for name in names] == ["jpg", "cls"] * 7
    assert labels == [int(key) % 3 for key in keys[::2]] and len(set(labels)) > 1


def stop_at_06(path):
    if "06 " in path:
        raise RuntimeError("the lights went out")
    return read_file(path)


def test_a_stopped_packing_goes_on_and_ends_the_same(samples, packed, tmp_path):
    again = tmp_path / "again"
    with pytest.raises(RuntimeError):
        pack(samples, again, RAW, stop_at_06, jobs=1)
    missing = next(path for n in range(4) if not (path := again / f"shard-{n:06d}.tar").exists())
    missing.with_suffix(".tar.part").write_bytes(b"half a shard")
    kept = {path: path.stat().st_mtime_ns for path in again.glob("*.tar")}
    assert 0 < len(kept) < 4
    seen = []
    pack(samples, again, RAW, read_file, jobs=2, progress=lambda done, planned: seen.append((done, planned)))
    assert seen[0] == (len(kept), 4) and seen[-1] == (4, 4)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in packed.iterdir()
    }


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_do_not_mix(samples, packed, tmp_path, finished):
    out = packed if finished else tmp_path / "begun"
    if not finished:
        with pytest.raises(RuntimeError):
            pack(samples, out, RAW, stop_at_06, jobs=1)
    with pytest.raises(UserError, match="other samples or settings"):
        pack(samples, out, Recipe("image", quality=50, per_shard=7), read_file, jobs=1)


def test_unreadable_files_are_left_out_by_name_up_to_a_limit(samples, tmp_path):
    for number in (3, 4):
        os.truncate(samples[number].source, 0)
    with pytest.raises(UserError, match=r"2 files cannot be read.*0[34] é\.jpg: empty file.*max-corrupt"):
        pack(samples, tmp_path / "out", RAW, read_file, jobs=1, max_corrupt=1)
    about = pack(samples, tmp_path / "out", RAW, read_file, jobs=1, max_corrupt=2)
    shards = Shards(tmp_path / "out")
    assert sorted(name for name, _ in about["left_out"]) == [samples[3].name, samples[4].name]
    assert len(shards) == 21 and shards.read(3) == read_file(samples[5].source)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_damage_is_found(packed):
    shards = Shards(packed)
    row = int(np.flatnonzero(shards.index.shard == 1)[0])
    flip(packed / "shard-000001.tar", int(shards.index.offset[row]) + 50)
    assert verify(packed) == [f"{packed}/shard-000001.tar: its checksum differs"]
    assert not shards.intact(row, shards.read(row))
    (packed / "shard-000002.tar").unlink()
    assert verify(packed)[0] == f"{packed}/shard-000002.tar is missing"


def break_json(folder):
    (folder / "shards.json").write_text("{")


def escape(folder):
    about = json.loads((folder / "shards.json").read_text())
    about["shards"][0]["name"] = "../../etc/passwd"
    (folder / "shards.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    "harm", [break_json, escape, lambda f: flip(f / "index.npz", 700), lambda f: (f / "shards.json").unlink()]
)
def test_a_broken_index_is_refused(packed, harm):
    harm(packed)
    with pytest.raises(UserError, match=r"scripts/shard\.py"):
        Shards(packed)


def view():
    return TrainView(32, (0.08, 1), (0.75, 1.33), {"HorizontalFlip": {"p": 0.5}}, seed=1)


def loader(source, labels, **settings):
    return make_loader(ImageDataset(source, labels, view(), max_corrupt=0), 3, train=True, seed=3, **settings)


def batches(made, *epochs):
    out = []
    for epoch in epochs:
        made.sampler.set_epoch(epoch)
        out += list(made)
    return out


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a
    )


def test_training_on_shards_is_training_on_the_files(samples, packed):
    """Bit for bit, with workers, resumed in the middle of an epoch, and split over ranks."""
    shards = Shards(packed)
    files = Files([sample.source for sample in samples])
    whole = batches(loader(files, shards.labels), 0, 1)
    assert same(batches(loader(shards, shards.labels, workers=2), 0, 1), whole)
    resumed = loader(shards, shards.labels, workers=1)
    resumed.sampler.resume_at(1, position=12)
    assert same(list(resumed), whole[7 + 4 :])
    ranks = [batches(loader(shards, shards.labels, rank=rank, world=2), 0) for rank in (0, 1)]
    seen = Counter(int(index) for rank in ranks for batch in rank for index in batch["index"])
    assert len(seen) == 18 and set(seen.values()) == {1}  # three whole batches of 2 x 3 samples


# ------------------------------------------------------------------ images


@pytest.mark.parametrize(("side", "size"), [(256, (256, 384)), (400, (400, 600)), (500, (427, 640))])
def test_the_short_side(encoded, side, size):
    image = Image.open(io.BytesIO(shrink_file(encoded(quality=90), "x.jpg", side, None)))
    assert abs(image.height - size[0]) <= 0 and abs(image.width - size[1]) <= 1


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 96])
def test_quality_is_kept_or_set(encoded, quality):
    data = encoded(quality=quality)
    assert jpeg_quality(data) == quality
    assert shrink_file(data, "x.jpg", 500, None) is data  # small enough: every bit stays
    assert jpeg_quality(shrink_file(data, "x.jpg", 256, None)) == quality
    assert jpeg_quality(shrink_file(data, "x.jpg", 500, 60)) == 60


def test_what_is_no_jpeg_stays_without_loss(encoded, photo):
    small = shrink_file(encoded(kind="PNG"), "x.png", 256, None)
    assert small.startswith(b"\x89PNG") and jpeg_quality(small) is None
    expected = np.asarray(Image.fromarray(photo).resize((384, 256), Image.Resampling.BOX), float)
    assert np.abs(np.asarray(Image.open(io.BytesIO(small)), float) - expected).mean() < 5


# ------------------------------------------------------------------ behind a URL


class Counting(MemoryFileSystem):
    """A remote store that counts its requests and fails when told to."""

    protocol = "counting"
    ranges, fetched, failures = [], [], []

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("counting://", "memory://"))

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.failures:
            raise self.failures.pop()
        if start is not None:
            self.ranges.append(path)
        return super().cat_file(path, start=start, end=end, **kwargs)

    def get_file(self, rpath, lpath, **kwargs):
        self.fetched.append(rpath)
        return super().get_file(rpath, lpath, **kwargs)


@pytest.fixture
def url(packed, monkeypatch):
    fsspec.register_implementation("counting", Counting, clobber=True)
    monkeypatch.setattr(shard_stores.time, "sleep", lambda seconds: None)
    files = Counting()
    for path in packed.iterdir():
        files.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    for log in (Counting.ranges, Counting.fetched, Counting.failures):
        log.clear()
    yield "counting://bucket"
    files.rm("/bucket", recursive=True)


def test_without_a_cache_each_sample_is_one_request(samples, url):
    shards = Shards(url)
    assert [shards.read(row) for row in range(23)] == [read_file(sample.source) for sample in samples]
    assert len(Counting.ranges) == 23 and Counting.fetched == []


def test_the_cache_holds_what_fits_and_is_used_again(samples, url, tmp_path):
    two = sum(shard["bytes"] for shard in Shards(url).about["shards"][:2])
    for turn in range(2):
        Counting.ranges.clear()
        shards = Shards(url, cache=str(tmp_path / "cache"), cache_gb=(two + 10) / 1e9)
        assert [shards.read(row) for row in range(23)] == [read_file(sample.source) for sample in samples]
        assert len(Counting.ranges) == 9  # the third and fourth shard hold 7 and 2 samples
        assert len(Counting.fetched) == 2, turn
    kept = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.is_relative_to(tmp_path / "cache")
    ]
    assert sum(path.stat().st_size for path in kept) == two


def test_a_shard_damaged_on_its_way_is_not_kept(samples, url, tmp_path, caplog):
    files = Counting()
    whole = files.cat_file("/bucket/shard-000000.tar")
    files.pipe_file("/bucket/shard-000000.tar", whole + b"x")
    shards = Shards(url, cache=str(tmp_path / "cache"), cache_gb=1)
    assert [shards.read(row) for row in range(23)] == [read_file(sample.source) for sample in samples]
    assert "shard-000000.tar: the checksum is not that of the index" in caplog.text
    assert not list((tmp_path / "cache").rglob("*shard-000000.tar"))


def test_a_shard_that_another_process_fetches_is_not_waited_for(url, tmp_path):
    import fcntl

    shards = Shards(url, cache=str(tmp_path / "cache"), cache_gb=1)
    with (shards.store.folder / ".shard-000000.tar.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shards.read(int(np.flatnonzero(shards.index.shard == 0)[0]))
    assert Counting.fetched == [] and len(Counting.ranges) == 1


def test_other_bytes_at_the_place_of_a_sample_are_refused(url):
    shards, files = Shards(url), Counting()
    row = int(np.flatnonzero(shards.index.shard == 0)[0])
    for other in (b"x" * 100_000, b""):
        files.pipe_file("/bucket/shard-000000.tar", other)
        with pytest.raises(OSError, match=r"shard-000000\.tar does not hold it as it was packed"):
            shards.read(row)


def test_a_shard_cut_short_is_noticed(packed):
    shards = Shards(packed)
    last = int(np.argmax(np.where(shards.index.shard == 0, shards.index.offset, -1)))
    os.truncate(packed / "shard-000000.tar", int(shards.index.offset[last]) + 10)
    with pytest.raises(OSError, match="does not hold it"):
        shards.read(last)


def test_requests_are_tried_again_then_named(url):
    shards = Shards(url)
    Counting.failures += [TimeoutError("slow"), RuntimeError("503")]
    assert shards.read(0)
    Counting.failures += [RuntimeError("503")] * 5
    with pytest.raises(OSError, match=r"counting://bucket: RuntimeError: 503"):
        shards.read(0)
    with pytest.raises(UserError, match=r"no shards.*data\.root"):
        Shards("counting://elsewhere")
    with pytest.raises(UserError, match=r"nosuch.*data\.root"):
        Shards("nosuch://bucket")


# ------------------------------------------------------------------ lines of text


def test_lines_of_text_read_from_shards(samples, tmp_path):
    lines = [Sample(sample.source, sample.name, f"ស្រី {n}") for n, sample in enumerate(samples)]
    pack(lines, tmp_path / "ocr" / "train", Recipe("ocr", per_shard=10), read_file, jobs=1)
    found = read_table(find_table(tmp_path / "ocr", "train"))
    assert [line.text for line in found] == [line.label for line in lines]
    assert [image_bytes(line.image) for line in found] == [read_file(line.source) for line in lines]
    with tarfile.open(tmp_path / "ocr/train/shard-000000.tar") as tar:
        name = tar.getnames()[1]
        assert name.endswith(".txt") and tar.extractfile(name).read().decode() == lines[int(name[:8])].label
