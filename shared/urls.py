"""Places behind URLs: the package that each kind needs, one connection a process, failed requests tried again."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import fsspec
from fsspec.utils import get_protocol

from shared.config.passwords import refuse_password
from shared.errors import UserError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
PACKAGES = {"sftp": "paramiko", "ssh": "paramiko", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
PACKAGES |= {"az": "adlfs", "abfs": "adlfs", "webdav": "webdav4", "smb": "smbprotocol", "oci": "ocifs"}
PACKAGES |= {"http": "aiohttp", "https": "aiohttp", "hf": "huggingface_hub"}
SILENCE = 60.0  # seconds for which an sftp server that says nothing is waited for
LONGEST_PAUSE = 60.0


def kind_of_place(url: str, where: str) -> type:
    """fsspec's class for what `url`, the value of the setting `where`, names; for a folder that of local files.

    >>> kind_of_place("memory://bucket/backups", "backup.url").__name__
    'MemoryFileSystem'

    Errors: UserError for a password in it, a kind that nobody knows, and one whose package is not installed.
    """
    refuse_password(url, where)
    names = [part.partition("://")[0] for part in url.split("::")] if "://" in url else ["file"]
    for name in names:
        try:
            kind = fsspec.get_filesystem_class(name)
        except ImportError as error:
            mend = f"pip install {PACKAGES[name]}" if name in PACKAGES else str(error)
            raise UserError(f"{name}:// needs a package that is not installed", where, mend) from error
        except ValueError as error:
            mend = "give a folder, or a URL such as sftp://user@host/folder or s3://bucket/folder"
            raise UserError(f"{name}:// is unknown", where, mend) from error
    return kind


def tried(
    what: str,
    action: Callable[[], Result],
    retries: int = 4,
    delay: float = 1.0,
    sleep: Callable[[float], object] = time.sleep,
    final: tuple[type[OSError], ...] = (FileNotFoundError,),
) -> Result:
    """Result of `action`, tried again after an OSError that is not `final`: at most `retries` times.

    Pauses: `delay` seconds, then twice as long each time, never more than LONGEST_PAUSE; each is said in the log.
    """
    for attempt in range(retries):
        try:
            return action()
        except final:
            raise
        except OSError as error:
            pause = min(delay * 2**attempt, LONGEST_PAUSE)
            log.warning("%s failed (%s); trying again in %g s", what, error, pause)
        sleep(pause)
    return action()


class Connection:
    """The file system behind a URL: connected when first needed, and anew after a failure or in a forked process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.process, self.files, self.root = 0, None, ""

    @contextmanager
    def opened(self) -> Iterator[tuple[Any, str]]:
        """The file system and the folder in it; whatever it raises comes out as an OSError that names the URL."""
        try:
            if self.files is None or self.process != os.getpid():
                self.connect()
            yield self.files, self.root
        except FileNotFoundError:
            raise
        except Exception as error:  # every file system has its own
            self.files = None
            raise OSError(f"{self.url}: {type(error).__name__}: {error}".rstrip(": ")) from error

    def connect(self) -> None:
        sftp = get_protocol(self.url) in ("sftp", "ssh")
        options = {"timeout": SILENCE} if sftp else {}
        files, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **options)
        if sftp:
            files.ftp.get_channel().settimeout(SILENCE)
        self.process, self.files, self.root = os.getpid(), files, root.rstrip("/")
