"""The files of a run's checkpoints: written whole or not at all, each role a name (hard link) of its file."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from shared.checkpoints.file import UNREADABLE, broken, read
from shared.files import flush, link
from shared.policy.retention import Checkpoint as Record

log = logging.getLogger(__name__)


class CheckpointFolder:
    """`last.ckpt` is the newest file, `previous.ckpt` the one before it, `<role>.ckpt` whoever holds that role."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = path / ".writing.ckpt"

    def file(self, role: str) -> Path:
        return self.path / f"{role}.ckpt"

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        for path in (self.written, *self.path.glob(".*.tmp")):
            path.unlink(missing_ok=True)

    def commit(self) -> None:
        """Put `written` in the place of last.ckpt once it can be read back; raises OSError."""
        if reason := broken(self.written):
            raise OSError(f"what was written cannot be read back: {reason}")
        if self.file("last").exists():
            link(self.file("last"), self.file("previous"))
        self.written.replace(self.file("last"))
        flush(self.path)

    def assign(self, roles: Iterable[str], retired: Iterable[str]) -> None:
        """Give `roles` to the newest file, and take the names of those that are over."""
        for role in roles:
            link(self.file("last"), self.file(role))
        for role in retired:
            self.file(role).unlink(missing_ok=True)
        flush(self.path)

    def heal(
        self,
        records: Mapping[str, Record],
        source: Path,
        decide: Callable[[Iterable[Record]], dict[str, Record]],
    ) -> dict[str, Record]:
        """Give each role its file, found here or beside `source`; returns the records that have one.

        Files are missing or stale if a crash came between a save and its links, or if the run has moved here. Roles
        whose file is nowhere are decided anew among the rest.
        """
        nearby = {identity(own_record(path)): path for path in [*source.parent.glob("*.ckpt"), source]}
        found = {}
        for role, record in records.items():
            held = self.file(role)
            if not held.exists() or (role != "last" and identity(own_record(held)) != identity(record)):
                holder = nearby.get(identity(record))
                if holder is None:
                    log.warning("resume: %s of epoch %d is gone", held.name, record.epoch)
                    continue
                link(holder, held)
            found[role] = record
        files = {identity(record): self.file(role) for role, record in found.items()}
        for role, record in decide(found.values()).items():
            if role not in found:
                link(files[identity(record)], self.file(role))
                found[role] = record
        flush(self.path)
        return found


def own_record(path: Path) -> Record | None:
    """The record that a checkpoint was saved as; None if it cannot be read."""
    try:
        return Record(**read(path)["callbacks"]["Checkpoints"]["records"]["last"])
    except (OSError, TypeError, *UNREADABLE):
        return None


def identity(record: Record | None) -> tuple[int, int, bool] | None:
    """What tells two checkpoints of a run apart; a metric may be NaN, which equals nothing."""
    return None if record is None else (record.step, record.epoch, record.metric is None)
