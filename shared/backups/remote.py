"""Stores for backups behind URLs: a folder, or whatever fsspec reaches (sftp, s3, gs, ...)."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from shared.backups.stores import LocalStore, Store
from shared.urls import Connection, kind_of_place


def open_store(url: str, *folders: str) -> Store:
    """The store at `url`/`folders`; connects later. Raises UserError for URLs that cannot work here."""
    kind, place = kind_of_place(url, "backup.url"), "/".join([url.rstrip("/") or "/", *folders])
    return LocalStore(Path(kind._strip_protocol(place))) if kind is LocalFileSystem else FsspecStore(place)


class FsspecStore:
    """A folder behind an fsspec URL."""

    path = None

    def __init__(self, url: str) -> None:
        self.url, self.connection = url, Connection(url)
        self.made: Any = None  # the connection over which the folder was made

    def names(self) -> list[str]:
        with self.connection.opened() as (files, root):
            files.invalidate_cache()
            try:
                return [path.rstrip("/").rpartition("/")[2] for path in files.ls(root, detail=False)]
            except FileNotFoundError:
                return []

    def read(self, name: str) -> "RemoteFile":
        with self.connection.opened() as (files, root):
            file = files.open(f"{root}/{name}", "rb")
            if hasattr(file, "prefetch"):  # sftp, which otherwise waits for each 32 kB
                file.prefetch(max_concurrent_requests=64)
            return RemoteFile(self.connection, file)

    def write(self, name: str) -> "RemoteFile":
        with self.connection.opened() as (files, root):
            if self.made is not files:
                files.makedirs(root, exist_ok=True)
                self.made = files
            file = files.open(f"{root}/{name}", "wb")
            if hasattr(file, "set_pipelined"):
                file.set_pipelined(True)
            return RemoteFile(self.connection, file)

    def rename(self, old: str, new: str) -> None:
        with self.connection.opened() as (files, root):
            files.mv(f"{root}/{old}", f"{root}/{new}")

    def delete(self, name: str) -> None:
        with self.connection.opened() as (files, root), suppress(FileNotFoundError):
            files.rm(f"{root}/{name}")


class RemoteFile:
    """An open file of a store, with the errors of its connection."""

    def __init__(self, connection: Connection, file: Any) -> None:
        self.connection, self.file = connection, file

    def read(self, size: int = -1) -> bytes:
        with self.connection.opened():
            return self.file.read(size)

    def write(self, data: bytes) -> int:
        with self.connection.opened():
            return self.file.write(data)

    def __enter__(self) -> "RemoteFile":
        return self

    def __exit__(self, *error: Any) -> None:
        with self.connection.opened():
            self.file.close()
