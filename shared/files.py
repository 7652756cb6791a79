"""Files that a crash or a full disk at any moment leaves readable."""

import json
import logging
import math
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared.errors import UserError

log = logging.getLogger(__name__)


def refuse_url(place: str, key: str) -> None:
    """UserError for a URL, which `Path` would turn into a folder called `s3:`."""
    if "://" in place:
        raise UserError(f"{place} is a URL", key, "give a path on this machine: copy or mount it first")


def local_path(place: str, key: str) -> Path:
    """The path that a setting names; UserError if it is a URL, or empty."""
    refuse_url(place, key)
    if not place.strip():
        raise UserError("no path is given", key, f"give {key}=PATH")
    return Path(place).expanduser()


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to; what lies there at the end becomes `path` in one step.

    Readers see the old file or the new one, never a part. The content is on the disk before it gets its name, after an
    error nothing of it is left, and processes that write the same path do not disturb each other.

    >>> with replaced(Path("notes.txt")) as temporary:
    ...     _ = temporary.write_text("whole or not at all")
    >>> os.listdir()
    ['notes.txt']
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` in one step: a hard link, or a copy where there are none."""
    with replaced(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def flush(folder: Path) -> None:
    """Put a folder's names on the disk, where its file system can be told to (many mounted drives cannot)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Growing:
    """A text file that only grows: what is added arrives whole or, while the disk takes nothing, waits in memory.

    A `mute` one, of another rank than the first, writes nothing.
    """

    def __init__(self, path: Path, mute: bool = False) -> None:
        self.path, self.mute = path, mute
        self.waiting = ""
        self.lock = threading.Lock()

    def add(self, text: str) -> None:
        if self.mute:
            return
        with self.lock:
            size = self.path.stat().st_size if self.path.exists() else 0
            try:
                with self.path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(self.waiting + text)
                self.waiting = ""
            except OSError as error:
                if not self.waiting:
                    log.error(
                        "%s: %s; new lines wait in memory until it can be written", self.path, error.strerror
                    )
                self.waiting += text
                with suppress(OSError):
                    os.truncate(self.path, size)

    def end_line(self) -> None:
        """Close a last line that a crash cut off, so that the next one stands alone."""
        if self.path.exists() and (text := self.path.read_bytes()) and not text.endswith(b"\n"):
            self.add("\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step; readers see the old file or the new one, never a part."""
    with replaced(path) as temporary:
        temporary.write_text(
            text, encoding="utf-8", errors="backslashreplace"
        )  # names of files need not be text


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN: non-finite numbers become null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
