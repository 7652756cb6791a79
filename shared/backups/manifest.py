"""The manifest of a backup: which files it holds, under which names and hashes; read as untrusted input."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO

MANIFEST = re.compile(r"manifest-(\d{8})\.json")
DATA = re.compile(r"data-[0-9a-f]{16}-[^/\\]+(?<!\.part)")
CHUNK = 1 << 20


class Corrupt(OSError):
    """Bytes that are not what was written."""


@dataclass(frozen=True)
class Entry:
    """One backed-up file: its name in the store, its bytes and their SHA-256."""

    object: str
    size: int
    sha256: str

    def check(self, source: BinaryIO, sink: BinaryIO | None = None) -> None:
        """Read `source` to its end, copying it to `sink` if given; raises Corrupt for any other bytes."""
        size, sha256 = read_hashed(source, sink)
        if size != self.size:
            raise Corrupt(f"{self.object} has {size} bytes, not {self.size}")
        if sha256 != self.sha256:
            raise Corrupt(f"{self.object} does not match its SHA-256")


@dataclass(frozen=True)
class Manifest:
    """A complete backup; `info` is what the caller wants to know of it (epoch, step, time)."""

    number: int
    files: Mapping[str, Entry]
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, entry in self.files.items():
            path = PurePosixPath(name)
            leaves = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
            if leaves or not path.name or not DATA.fullmatch(entry.object):
                raise ValueError(f"files must stay within the backup, not {name!r} from {entry.object!r}")

    @property
    def name(self) -> str:
        return f"manifest-{self.number:08d}.json"

    def to_json(self) -> bytes:
        body = json.dumps(asdict(self), indent=1, sort_keys=True)
        return f'{{"sha256": "{hashlib.sha256(body.encode()).hexdigest()}",\n"backup": {body}}}\n'.encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Raises Corrupt for anything but what `to_json` wrote."""
        try:
            body = json.loads(text)["backup"]
            files = {name: Entry(**entry) for name, entry in body["files"].items()}
            manifest = cls(body["number"], files, body["info"])
            intact = manifest.to_json() == text
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Corrupt("is not a manifest") from error
        if not intact:
            raise Corrupt("was altered after it was written")
        return manifest


def is_of(info: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a backup with this `info` is one of the run that now is in state `run` (run_id, step)."""
    return info.get("run_id") == run.get("run_id")


def is_later(info: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether it is of the same run, from a later step: another machine has gone on with it."""
    return is_of(info, run) and info["step"] > run["step"]


def read_hashed(
    source: BinaryIO,
    sink: BinaryIO | None = None,
    size: int | None = None,
    tell: Callable[[int], object] = lambda size: None,
) -> tuple[int, str]:
    """Bytes read (at most `size`) and their SHA-256, copying them to `sink` if given; `tell` gets each chunk's size."""
    digest, done = hashlib.sha256(), 0
    while chunk := source.read(CHUNK if size is None else min(CHUNK, size - done)):
        digest.update(chunk)
        done += len(chunk)
        if sink is not None:
            sink.write(chunk)
            tell(len(chunk))
    return done, digest.hexdigest()
