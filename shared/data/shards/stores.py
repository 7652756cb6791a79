"""Where the bytes of shards come from: a folder, a URL, or a bounded copy of what lies behind one."""

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from shared.urls import Connection, kind_of_place, tried

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class LocalStore:
    """Files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def whole(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def read(self, name: str, offset: int, size: int) -> bytes:
        return read_at(f"{self.folder}/{name}", offset, size)


class RemoteStore:
    """Files behind an fsspec URL, each request tried again when it fails."""

    def __init__(self, url: str) -> None:
        kind_of_place(url, "data.root")
        self.url, self.connection = url, Connection(url)

    def whole(self, name: str) -> bytes:
        return self.asked(name, lambda files, path: files.cat_file(path))

    def read(self, name: str, offset: int, size: int) -> bytes:
        return self.asked(name, lambda files, path: files.cat_file(path, start=offset, end=offset + size))

    def fetch(self, name: str, target: Path) -> None:
        self.asked(name, lambda files, path: files.get_file(path, str(target)))

    def asked(self, name: str, request: Callable[[Any, str], Result]) -> Result:
        def once() -> Result:
            with self.connection.opened() as (files, root):
                return request(files, f"{root}/{name}")

        return tried(f"reading {name}", once, sleep=time.sleep)


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
