"""Writes one tar shard and reads it back."""

import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

from shared.data.decoding import readable_kind, remarks
from shared.data.images import shrink_file
from shared.data.shards.stores import sha256
from shared.errors import ImageError

MAGIC = {b"\xff\xd8": "jpg", b"\x89PNG": "png", b"RIFF": "wav"}
Read = Callable[[str], bytes]


def read_file(path: str) -> bytes:
    return Path(path).read_bytes()


class Sample(NamedTuple):
    """What to read, what to call it (its path below the root) and its class, speaker or text."""

    source: str
    name: str
    label: str


@dataclass(frozen=True)
class Recipe:
    """What is done to the files: see shrink_file; without `short_side` and `quality` they are copied.

    `per_shard` samples lie in a shard, in an order that mixes the classes, for those who read it from end to end.
    """

    kind: str
    short_side: int | None = None
    quality: int | None = None
    per_shard: int = 10_000

    def apply(self, data: bytes, name: str) -> bytes:
        """The file as it is stored."""
        if not data:
            raise ImageError(f"{name}: empty file")
        if self.kind == "image":
            readable_kind(data, name)
        if self.short_side or self.quality:
            return shrink_file(data, name, self.short_side, self.quality)
        return data


class Job(NamedTuple):
    """One shard: its samples with their numbers, and the numbers of the labels."""

    path: Path
    recipe: Recipe
    fingerprint: str
    rows: list[tuple[int, Sample]]
    labels: dict[str, int]
    read: Read


def pack_shard(job: Job) -> None:
    """Write the shard beside its place, read it back, rename it; then list its samples: the list makes it whole.

    Rows of the list: number, offset, size, CRC-32, label. Files that cannot be read are left out and listed, too. So is
    what is odd about those that could, where they are decoded to be shrunk.
    """
    part, left_out, odd = job.path.with_suffix(".tar.part"), [], []
    members: dict[str, list[int]] = {}
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, sample in job.rows:
            try:
                with remarks() as said:
                    data = job.recipe.apply(job.read(sample.source), sample.name)
            except (ImageError, OSError) as error:
                left_out.append([sample.name, str(error)])
                continue
            odd += said
            key, label = f"{number:08d}", job.labels[sample.label]
            name = f"{key}.{extension(data, sample.name)}"
            members[name] = [number, tar.offset + tarfile.BLOCKSIZE, len(data), zlib.crc32(data), label]
            add(tar, name, data)
            if job.recipe.kind == "ocr":
                add(tar, f"{key}.txt", sample.label.encode())
            else:
                add(tar, f"{key}.cls", str(label).encode())
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if problem := compare(part, {name: tuple(row[1:4]) for name, row in members.items()}):
        raise OSError(f"{job.path} was read back differently, from {problem} on")
    facts = {"name": job.path.name, "bytes": part.stat().st_size, "sha256": sha256(part)}
    part.replace(job.path)
    content = {
        "fingerprint": job.fingerprint,
        "shard": facts,
        "rows": [*members.values()],
        "left_out": left_out,
        "odd": odd,
    }
    part.write_text(json.dumps(content))
    part.replace(job.path.with_suffix(".json"))


def extension(data: bytes, name: str) -> str:
    """By the content, else as the file is called."""
    found = (kind for magic, kind in MAGIC.items() if data.startswith(magic))
    return next(found, PurePath(name).suffix[1:].lower() or "bin")


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # time and owner 0: the same data give the same bytes
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def compare(path: Path, expected: dict[str, tuple[int, int, int]]) -> str | None:
    """The first sample in which a tar differs from {name: (offset, size, CRC-32)}."""
    found = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            if not entry.name.endswith((".cls", ".txt")):
                found[entry.name] = (entry.offset_data, entry.size, zlib.crc32(tar.extractfile(entry).read()))
    return min((n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n)), default=None)
