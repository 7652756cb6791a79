"""Any sample of a sharded split by its number, from a folder or from behind a URL with a bounded cache.

Samples are addressed one by one, so the sampler's full shuffle, resume position and split by rank hold as they are.
"""

import fcntl
import hashlib
import io
import logging
import os
import time
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec
import numpy as np

from shared.data.shard_index import ABOUT, INDEX, Index, parse_about, parse_index
from shared.errors import UserError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
MARK = "#sample-"
PAUSES = (1, 2, 4, 8)  # seconds before a failed request is tried again


class LocalStore:
    """Files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def whole(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def read(self, name: str, offset: int, size: int) -> bytes:
        return read_at(f"{self.folder}/{name}", offset, size)


class RemoteStore:
    """Files behind an fsspec URL; whatever the file system raises comes out as an OSError that names it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened: tuple[int, Any, str] = (0, None, "")
        _ = self.files

    @property
    def files(self) -> tuple[Any, str]:
        """The file system and the folder in it; connections must not be carried over a fork."""
        if self.opened[0] != os.getpid():
            try:
                self.opened = (os.getpid(), *fsspec.core.url_to_fs(self.url))
            except (ImportError, ValueError) as error:
                raise UserError(str(error), "data.root", "install what it needs, or give a folder") from error
        return self.opened[1:]

    def whole(self, name: str) -> bytes:
        return self.tried(name, lambda files, path: files.cat_file(path))

    def read(self, name: str, offset: int, size: int) -> bytes:
        return self.tried(name, lambda files, path: files.cat_file(path, start=offset, end=offset + size))

    def fetch(self, name: str, target: Path) -> None:
        self.tried(name, lambda files, path: files.get_file(path, str(target)))

    def tried(self, name: str, request: Callable[[Any, str], Result]) -> Result:
        for pause in (*PAUSES, None):
            files, root = self.files
            try:
                return request(files, f"{root.rstrip('/')}/{name}")
            except FileNotFoundError:
                raise
            except Exception as error:  # every file system has its own
                if pause is None:
                    raise OSError(f"{self.url}/{name}: {type(error).__name__}: {error}") from error
                time.sleep(pause)


class CachedStore:
    """The first shards of a remote split, as many as fit into `limit` bytes, kept in a folder once they are needed.

    Of a full shuffle no eviction keeps more than none at all does: the share of hits is the share that fits. A shard
    is fetched by the first process that needs it; until then the others read their samples from the store.
    """

    def __init__(self, remote: RemoteStore, folder: Path, shards: list[dict[str, Any]], limit: float) -> None:
        ends = np.cumsum([shard["bytes"] for shard in shards])
        kept = int(np.searchsorted(ends, limit, side="right"))
        self.remote, self.folder = remote, folder
        self.sums = {shard["name"]: shard["sha256"] for shard in shards[:kept]}
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, offset: int, size: int) -> bytes:
        if name in self.sums and self.is_here(name):
            return read_at(f"{self.folder}/{name}", offset, size)
        return self.remote.read(name, offset, size)

    def is_here(self, name: str) -> bool:
        path = self.folder / name
        if path.exists():
            return True
        with (self.folder / f".{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            try:
                if not path.exists():
                    self.fetch(name, path)
            except OSError as error:
                log.warning("not cached: %s", error)
                del self.sums[name]
        return name in self.sums

    def fetch(self, name: str, path: Path) -> None:
        part = path.with_name(f".{name}.part")
        try:
            self.remote.fetch(name, part)
            if sha256(part) != self.sums[name]:
                raise OSError(f"{self.remote.url}/{name}: the checksum is not that of the index")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


class Shards:
    """A split that scripts/shard.py packed, at a folder or any fsspec URL.

    With `cache`, a folder, up to `cache_gb` (10^9 bytes) of a remote split are kept in it; a sample outside costs one
    request. `labels` (N,) are the numbers of the samples' texts in `classes`.
    """

    def __init__(self, url: str | Path, cache: str | None = None, cache_gb: float = 0.0) -> None:
        self.url = str(url).rstrip("/")
        self.remote = is_url(self.url)
        store = RemoteStore(self.url) if self.remote else LocalStore(Path(self.url).expanduser())
        try:
            self.about = parse_about(store.whole(ABOUT), f"{self.url}/{ABOUT}")
            self.index: Index = parse_index(store.whole(INDEX), self.about, f"{self.url}/{INDEX}")
        except OSError as error:
            what = f"no shards: {error.strerror or error}"
            raise UserError(what, self.url, "point data.root at what scripts/shard.py wrote") from error
        self.names = [shard["name"] for shard in self.about["shards"]]
        self.classes: list[str] = self.about["labels"]
        self.labels = self.index.label
        if self.remote and cache and cache_gb > 0:
            folder = Path(cache).expanduser() / self.about["index_sha256"][:16]
            store = CachedStore(store, folder, self.about["shards"], cache_gb * 1e9)
        self.store = store

    def __len__(self) -> int:
        return len(self.index.shard)

    def name(self, row: int) -> str:
        return f"{self.url}/{self.index.name(row)}"

    def text(self, row: int) -> str:
        """The sample's label: its class, its speaker, or what the line says."""
        return self.classes[self.labels[row]]

    def read(self, row: int) -> bytes:
        """The sample's file; OSError if it cannot be had, or if a remote one is not what was packed."""
        shard, offset, size = (column.item(row) for column in self.index[:3])
        data = self.store.read(name := self.names[shard], offset, size)
        if len(data) != size or (self.remote and not self.intact(row, data)):
            raise OSError(f"{name} does not hold it as it was packed")
        return data

    def intact(self, row: int, data: bytes) -> bool:
        """Whether these are the bytes that were packed. Of local files only `verify` asks: it costs twice the read."""
        return zlib.crc32(data) == self.index.crc[row]


def is_url(place: str) -> bool:
    return "://" in place


def are_shards(place: str) -> bool:
    """Whether to look for shards here: behind every URL, and in folders that hold them."""
    return is_url(place) or (Path(place).expanduser() / ABOUT).exists()


def sample_paths(folder: Path) -> list[tuple[str, str]]:
    """A path and the text of every sample, in order, for code that knows files: see `open_sample`."""
    shards = open_shards(str(folder))
    return [(f"{folder}{MARK}{row}", shards.text(row)) for row in range(len(shards))]


def open_sample(path: str) -> BinaryIO:
    """A file, or a sample under the path that `sample_paths` gave it."""
    folder, mark, row = path.partition(MARK)
    return io.BytesIO(open_shards(folder).read(int(row))) if mark else open(path, "rb")  # noqa: PTH123


@lru_cache(maxsize=256)
def opened(path: str) -> BinaryIO:
    """A file that stays open: opening it again costs a round trip where the folder is mounted from afar."""
    return open(path, "rb", buffering=0)  # noqa: PTH123


def read_at(path: str, offset: int, size: int) -> bytes:
    """`pread`: has no position that forked workers would share."""
    return os.pread(opened(path).fileno(), size, offset)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


open_shards = lru_cache(maxsize=None)(Shards)  # an index is read once a process
