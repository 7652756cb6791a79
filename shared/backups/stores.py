"""Where backups go: the few operations a store must offer, a folder as a store, and the same-place guard."""

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol


class Store(Protocol):
    """A flat set of named files. Failures raise OSError; reading an absent name raises FileNotFoundError.

    `path` is the store's folder if it is one on this machine, else None. A store that cannot rename may copy
    and delete. Only one process at a time may write backups to a store.
    """

    @property
    def path(self) -> Path | None: ...

    def names(self) -> list[str]:
        """All names; none if the store does not exist yet."""

    def read(self, name: str) -> BinaryIO: ...

    def write(self, name: str) -> BinaryIO:
        """A file to write, replacing what is there; creates the store if need be."""

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name, replacing what is there; durable on return."""

    def delete(self, name: str) -> None:
        """No error if there is no such file."""


class LocalStore:
    """A folder as a store, created at the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []

    def read(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def write(self, name: str) -> BinaryIO:
        self.path.mkdir(parents=True, exist_ok=True)
        return (self.path / name).open("wb")

    def rename(self, old: str, new: str) -> None:
        _flush(self.path / old)
        (self.path / old).replace(self.path / new)
        with suppress(OSError):  # many mounted drives cannot flush a folder
            _flush(self.path)

    def delete(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def same_place(store: Store, folder: Path) -> str | None:
    """Why `store` and the existing `folder` are one place, however it is reached; None if they are two.

    Compares resolved paths and device + inode (symlinks, `..`, bind mounts), then looks in the store for a
    probe file written to the folder (network mounts, sftp to this very machine).
    """
    if store.path is not None:
        if store.path.resolve() == folder.resolve():
            return f"{store.path} resolves to {folder.resolve()}"
        if store.path.exists() and store.path.samefile(folder):
            return f"{store.path} and {folder} are the same folder on disk"
    probe = folder / f"same-place-probe-{uuid.uuid4().hex}"
    probe.touch(exist_ok=False)
    try:
        seen = probe.name in store.names()
    finally:
        probe.unlink()
    return f"a file written to {folder} appears in the backup place" if seen else None
