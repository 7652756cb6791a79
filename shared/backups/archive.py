"""Verified backups: data first, read back and hashed; the manifest last; restore the newest that verifies.

In the store, data lie under their SHA-256 (`data-<sha256[:16]>-<file>`), so nothing good is overwritten and
equal files are stored once; `manifest-<number>.json` lists them. Everything is written as `<name>.part` and
gets its name once it has been read back.
"""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from shared.backups.manifest import DATA, MANIFEST, Corrupt, Entry, Manifest, read_hashed
from shared.backups.stores import Store
from shared.urls import tried

log = logging.getLogger(__name__)
Result = TypeVar("Result")
LEFTOVER = re.compile(r"data-[0-9a-f]{16}-.+|manifest-\d{8}\.json\.part")


class BackupError(Exception):
    """A backup or restore that failed for good; the message names the file and the cause."""


class Damaged(BackupError):
    """The store was reached, and what it should hold is not there or not what was written."""


@dataclass(frozen=True)
class Restored:
    """Which backup was restored (None: there was no good one), and why newer ones were not."""

    manifest: Manifest | None
    skipped: list[str]


class Backup:
    """Saves files to a store and restores them; blocking, so that training runs it in a thread of its own.

    A failing operation is logged and tried again `retries` times, after `delay`, then 2, 4, ... x as many s.
    `sent` is told the size of each chunk of data that goes to the store.
    """

    def __init__(
        self,
        store: Store,
        retries: int = 4,
        delay: float = 1.0,
        sleep: Callable[[float], object] = time.sleep,
        sent: Callable[[int], object] = lambda size: None,
    ) -> None:
        self.store, self.retries, self.delay, self.sleep, self.sent = store, retries, delay, sleep, sent
        self._verified: set[str] = set()
        self._hashes: dict[tuple[int, ...], tuple[int, str]] = {}

    def save(self, files: Mapping[str, Path], info: Mapping[str, Any] | None = None) -> Manifest:
        """Back up `files` (relative name -> local path) as one whole; raises BackupError."""
        entries = {name: self._retry(name, partial(self._put, path)) for name, path in files.items()}
        newest = max((int(name[9:17]) for name in self._manifests()), default=0)
        manifest = Manifest(newest + 1, entries, dict(info or {}))
        text = manifest.to_json()
        entry = Entry(manifest.name, len(text), hashlib.sha256(text).hexdigest())
        self._retry(manifest.name, lambda: self._upload(BytesIO(text), entry))
        return manifest

    def newest(self, ours: Callable[[Mapping[str, Any]], bool]) -> Manifest | None:
        """The newest backup whose `info` is `ours`, going by its manifest; raises BackupError."""
        for name in self._manifests():
            with suppress(Damaged):
                manifest = self._load(name)
                if ours(manifest.info):
                    return manifest
        return None

    def restore(
        self,
        folder: Path,
        wanted: Callable[[Mapping[str, Any]], bool] = lambda info: True,
        ready: Callable[[], object] = lambda: None,
    ) -> Restored:
        """Fetch the newest good backup whose `info` is `wanted` into `folder`.

        Files there are replaced only once all have verified and `ready` has been called. Passes over what is proven
        damaged or missing; raises BackupError for what cannot be read now.
        """
        skipped: list[str] = []
        for name in self._manifests():
            try:
                manifest = self._load(name)
                if wanted(manifest.info):
                    self._fetch(manifest, folder, ready)
                    return Restored(manifest, skipped)
            except Damaged as error:
                skipped.append(f"{name}: {error}")
        return Restored(None, skipped)

    def prune(
        self, keep: int = 2, ours: Callable[[Mapping[str, Any]], bool] = lambda info: True
    ) -> list[str]:
        """Delete what is older than the newest `keep` backups that verify, and data that no manifest names.

        Deletes nothing while there are fewer good ones, and no backup whose `info` is not `ours`. Returns the
        deleted names; raises BackupError.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}")
        everything, good = self._manifests(), 0
        manifests = [name for name in everything if self._concerns(name, ours)]
        for kept, name in enumerate(manifests, start=1):
            good += self._is_good(name)
            if good == keep:
                staying = [name for name in everything if name not in manifests[kept:]]
                doomed = manifests[kept:] + self._unnamed_data(staying)
                for stale in doomed:
                    self._retry(stale, partial(self.store.delete, stale))
                return doomed
        return []

    def _put(self, path: Path) -> Entry:
        with path.open("rb") as source:
            size, sha256 = self._hash(source)
            prefix = f"data-{sha256[:16]}-"
            for name in self.store.names():
                entry = Entry(name, size, sha256)
                if name.startswith(prefix) and DATA.fullmatch(name) and self._holds(entry):
                    return entry
            entry = Entry(prefix + path.name, size, sha256)
            source.seek(0)
            self._upload(source, entry)
            return entry

    def _hash(self, source: BinaryIO) -> tuple[int, str]:
        """Size and SHA-256, remembered for as long as the file is the same one."""
        stat = os.fstat(source.fileno())
        key = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
        if key not in self._hashes:
            self._hashes[key] = read_hashed(source)
        return self._hashes[key]

    def _upload(self, source: BinaryIO, entry: Entry) -> None:
        part = f"{entry.object}.part"
        try:
            with self.store.write(part) as sink:
                read_hashed(source, sink, entry.size, self.sent)
            with self.store.read(part) as written:
                entry.check(written)
            self.store.rename(part, entry.object)
        except BaseException:
            with suppress(OSError):
                self.store.delete(part)
            raise
        self._verified.add(entry.object)

    def _holds(self, entry: Entry) -> bool:
        """Whether the store holds these very bytes; read back once, then remembered."""
        if entry.object not in self._verified:
            try:
                with self.store.read(entry.object) as stored:
                    entry.check(stored)
            except (Corrupt, FileNotFoundError):
                return False
            self._verified.add(entry.object)
        return True

    def _is_good(self, manifest: str) -> bool:
        try:
            files = self._load(manifest).files
            present = set(self._retry("list of backups", self.store.names))
            return all(
                entry.object in present and self._retry(name, partial(self._holds, entry))
                for name, entry in files.items()
            )
        except BackupError as error:
            log.warning("backup %s: %s", manifest, error)
            return False

    def _concerns(self, manifest: str, ours: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Whether a backup is ours; a damaged one is nobody else's."""
        try:
            return ours(self._load(manifest).info)
        except Damaged:
            return True

    def _manifests(self) -> list[str]:
        """Names of the manifests, newest first."""
        names = self._retry("list of backups", self.store.names)
        return sorted(filter(MANIFEST.fullmatch, names), reverse=True)

    def _load(self, name: str) -> Manifest:
        def read() -> Manifest:
            with self.store.read(name) as file:
                return Manifest.from_json(file.read())

        return self._retry("manifest", read, Corrupt, FileNotFoundError)

    def _unnamed_data(self, manifests: list[str]) -> list[str]:
        """Data in the store that none of `manifests` names; nothing if one of them cannot be read."""
        try:
            named = {entry.object for name in manifests for entry in self._load(name).files.values()}
        except BackupError:
            return []
        names = self._retry("list of backups", self.store.names)
        return [name for name in names if LEFTOVER.fullmatch(name) and name not in named]

    def _fetch(self, manifest: Manifest, folder: Path, ready: Callable[[], object]) -> None:
        parts = {folder / f"{name}.part": folder / name for name in manifest.files}
        try:
            for part, (name, entry) in zip(parts, manifest.files.items(), strict=True):
                self._retry(name, partial(self._download, entry, part), Corrupt, FileNotFoundError)
            ready()
            for part, target in parts.items():
                part.replace(target)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def _download(self, entry: Entry, part: Path) -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        with self.store.read(entry.object) as source, part.open("wb") as sink:
            entry.check(source, sink)

    def _retry(self, what: str, action: Callable[[], Result], *final: type[OSError]) -> Result:
        """Result of `action`, tried again after an OSError; raises Damaged for a `final` one, else BackupError."""
        try:
            return tried(f"backup of {what}", action, self.retries, self.delay, self.sleep, final)
        except final as error:
            raise Damaged(f"{what}: {error}") from error
        except OSError as error:
            raise BackupError(f"{what}: {error}") from error
