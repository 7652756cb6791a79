"""Any sample of a sharded split by its number, from a folder or from behind a URL with a bounded cache.

Samples are addressed one by one, so the sampler's full shuffle, resume position and split by rank hold as they are.
"""

import io
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from shared.data.shards.index import ABOUT, INDEX, Index, parse_about, parse_index
from shared.data.shards.stores import CachedStore, LocalStore, RemoteStore
from shared.errors import UserError

MARK = "#sample-"


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
        """The sample's file; OSError if it cannot be read, or if a remote one is not what was packed."""
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


def packed_name(path: str) -> str:
    """The file, below the root of its data set, that the sample under such a path was packed from."""
    folder, _, row = path.partition(MARK)
    return open_shards(folder).index.name(int(row))


def open_sample(path: str) -> BinaryIO:
    """A file, or a sample under the path that `sample_paths` gave it."""
    folder, mark, row = path.partition(MARK)
    return io.BytesIO(open_shards(folder).read(int(row))) if mark else open(path, "rb")  # noqa: PTH123


open_shards = lru_cache(maxsize=None)(Shards)  # an index is read once a process
