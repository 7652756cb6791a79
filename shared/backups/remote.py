"""Stores for backups behind URLs: a folder, or whatever fsspec reaches (sftp, s3, gs, ...)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.utils import get_protocol

from shared.backups.stores import LocalStore, Store
from shared.config.passwords import refuse_password
from shared.errors import UserError

PACKAGES = {"sftp": "paramiko", "ssh": "paramiko", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
PACKAGES |= {"az": "adlfs", "abfs": "adlfs", "webdav": "webdav4", "smb": "smbprotocol", "oci": "ocifs"}
PATIENCE = 60.0
"""Seconds for which a silent sftp server is waited for."""


def open_store(url: str, *folders: str) -> Store:
    """The store at `url`/`folders`; connects later. Raises UserError for URLs that cannot work here."""
    refuse_password(url, "backup.url")
    protocol, place = get_protocol(url), "/".join([url.rstrip("/") or "/", *folders])
    try:
        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = PACKAGES.get(protocol)
        mend = f"pip install {package}" if package else str(error)
        raise UserError(f"{protocol}:// needs a package that is not installed", "backup.url", mend) from error
    except ValueError as error:
        mend = "give a folder, or a URL such as sftp://user@host/folder or s3://bucket/folder"
        raise UserError(f"{protocol}:// is unknown", "backup.url", mend) from error
    return LocalStore(Path(kind._strip_protocol(place))) if protocol == "file" else FsspecStore(place)


class FsspecStore:
    """A folder behind an fsspec URL. Connects when it is first needed, and anew after each failure.

    Whatever a file system raises comes out as an OSError that names it.
    """

    path = None

    def __init__(self, url: str) -> None:
        self.url, self.protocol = url, get_protocol(url)
        self.files: Any = None
        self.exists = False

    def names(self) -> list[str]:
        with self._connected() as files:
            files.invalidate_cache()
            try:
                return [path.rstrip("/").rpartition("/")[2] for path in files.ls(self.root, detail=False)]
            except FileNotFoundError:
                return []

    def read(self, name: str) -> "RemoteFile":
        with self._connected() as files:
            file = files.open(f"{self.root}/{name}", "rb")
            if hasattr(file, "prefetch"):  # sftp, which otherwise waits for each 32 kB
                file.prefetch(max_concurrent_requests=64)
            return RemoteFile(self, file)

    def write(self, name: str) -> "RemoteFile":
        with self._connected() as files:
            if not self.exists:
                files.makedirs(self.root, exist_ok=True)
                self.exists = True
            file = files.open(f"{self.root}/{name}", "wb")
            if hasattr(file, "set_pipelined"):
                file.set_pipelined(True)
            return RemoteFile(self, file)

    def rename(self, old: str, new: str) -> None:
        with self._connected() as files:
            files.mv(f"{self.root}/{old}", f"{self.root}/{new}")

    def delete(self, name: str) -> None:
        with self._connected() as files, suppress(FileNotFoundError):
            files.rm(f"{self.root}/{name}")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            if self.files is None:
                self._connect()
            yield self.files
        except FileNotFoundError:
            raise
        except Exception as error:
            self.files, self.exists = None, False
            raise OSError(f"{self.url}: {type(error).__name__} {error}".rstrip()) from error

    def _connect(self) -> None:
        sftp = self.protocol in ("sftp", "ssh")
        options = {"timeout": PATIENCE} if sftp else {}
        files, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **options)
        if sftp:
            files.ftp.get_channel().settimeout(PATIENCE)
        self.files, self.root = files, root.rstrip("/")


class RemoteFile:
    """An open file of a store, with the store's errors."""

    def __init__(self, store: FsspecStore, file: Any) -> None:
        self.store, self.file = store, file

    def read(self, size: int = -1) -> bytes:
        with self.store._connected():
            return self.file.read(size)

    def write(self, data: bytes) -> int:
        with self.store._connected():
            return self.file.write(data)

    def __enter__(self) -> "RemoteFile":
        return self

    def __exit__(self, *error: Any) -> None:
        with self.store._connected():
            self.file.close()
