"""Decoded clips on disk, so that a run of 800 epochs decodes each video once."""

import logging
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np

from projects.video_lstm.videos.decode import read_clip
from shared.errors import ImageError
from shared.files import replaced

log = logging.getLogger(__name__)

HEADER = struct.Struct("<qqI")  # bytes and modification time (ns) of the video, CRC-32 of the pixels
# Where the CRC begins: another for each way of choosing frames, so that clips of earlier ones are decoded again.
VERSION = 2


class ClipCache:
    """Clips of uint8 (frames, size, size, 3), one file each, of at most `gigabytes` in `folder` together.

    The first so many clips of a data set are kept, for good: all are read equally often, so that throwing one out for
    another would gain nothing, and processes have nothing to agree upon. What does not check out is decoded again.
    """

    def __init__(self, folder: str, gigabytes: float) -> None:
        self.folder, self.budget = Path(folder).expanduser(), gigabytes * 1e9

    def open(self, root: Path, frames: int, size: int) -> None:
        """Serve the videos under `root` at this size; what lies in the folder for others is off the budget."""
        self.root, self.shape = root, (frames, size, size, 3)
        own = sha256(str(root.resolve()).encode()).hexdigest()[:8]
        self.place = self.folder / f"{root.name}-{own}-{frames}x{size}"
        files = (path for path in self.folder.rglob("*") if path.is_file() and self.place not in path.parents)
        left = self.budget - sum(path.stat().st_size for path in files)
        self.capacity = max(0, int(left / (HEADER.size + frames * size * size * 3)))

    def read(self, path: str, number: int) -> np.ndarray:
        """The clip of a video, the `number`-th of the data set; raises ImageError."""
        frames, size = self.shape[:2]
        if number >= self.capacity:
            return read_clip(path, frames, size)
        try:
            facts = os.stat(path)  # noqa: PTH116 (a Path costs as much as the call)
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror}") from error
        version = (facts.st_size, facts.st_mtime_ns)
        name = sha256(os.path.relpath(path, self.root).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        entry = self.place / name[:2] / name
        clip = self._load(entry, version)
        if clip is None:
            clip = read_clip(path, frames, size)
            self._store(entry, version, clip)
        return clip

    def _load(self, entry: Path, version: tuple[int, int]) -> np.ndarray | None:
        try:
            content = entry.read_bytes()
        except OSError:
            return None
        if len(content) != HEADER.size + np.prod(self.shape):
            return None
        pixels = memoryview(content)[HEADER.size :]
        if HEADER.unpack_from(content) != (*version, zlib.crc32(pixels, VERSION)):
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self.shape)

    def _store(self, entry: Path, version: tuple[int, int], clip: np.ndarray) -> None:
        pixels = np.ascontiguousarray(clip).tobytes()
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with replaced(entry) as temporary:
                temporary.write_bytes(HEADER.pack(*version, zlib.crc32(pixels, VERSION)) + pixels)
        except OSError as error:
            self.capacity = 0  # it will not get better
            log.warning("clip cache %s: %s; videos are decoded each time", self.folder, error.strerror)
