"""Brings a run back from its backup: to a new machine, or to one that another has overtaken."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from shared.backups.archive import Backup, BackupError, Restored
from shared.backups.manifest import is_later, is_of
from shared.backups.remote import open_store
from shared.backups.stores import Store
from shared.errors import UserError
from shared.record.folder import RunFolder

log = logging.getLogger(__name__)
State = Mapping[str, Any]


def restore(
    folder: RunFolder, store: Store, place: str, local: State | None, began: list[str] | None
) -> bool:
    """Fetch the run's newest good backup into `folder`, which has no checkpoint; False if there is none.

    If it has one, of state `local`, only a later backup of the same run counts, and what was here is kept. If the run
    begins with a `resume` path, only one that `began` so. Raises UserError if nothing is here and nobody can say what
    is there: a run that began anew then would be a run lost.
    """
    told = folder.events.path.read_text("utf-8") if folder.events.path.exists() else ""
    kept: list[Path] = []
    try:
        restored = (
            fetch_later(folder, store, local, kept) if local is not None else fetch(folder, store, began)
        )
    except (BackupError, OSError) as error:
        if local is None:
            mend = "drop backup.url to begin at resume=PATH" if began else "resume=never to start afresh"
            what = f"{place} cannot be restored from: {error}"
            raise UserError(what, "backup.url", f"try again, or {mend}") from error
        message = f"{place} cannot be read now, so the run goes on from what is here: {error}"
        folder.events.add("backup_failed", message, epoch=1, step=0, level=logging.WARNING)
        return False
    if restored.manifest is not None:
        folder.reopen()
        folder.events.file.add("" if kept else told)
    for reason in restored.skipped:
        message = f"{place}: passed over {reason}"
        folder.events.add("backup_damaged", message, epoch=1, step=0, level=logging.WARNING)
    if restored.manifest is not None:
        info = restored.manifest.info
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info["time"]))
        message = f"restored from {place}: epoch {info['epoch']}, step {info['step']}, saved {when}"
        message += "".join(f"; the earlier state that was here is kept in {path}" for path in kept)
        folder.events.add("restored", message, epoch=info["epoch"], step=info["step"])
    return restored.manifest is not None


def fetch(folder: RunFolder, store: Store, began: list[str] | None) -> Restored:
    """The newest good backup, or of those that `began` so."""
    wanted = (lambda info: info.get("began") == began) if began else (lambda info: True)
    return Backup(store, retries=2).restore(folder.path, wanted)


def fetch_later(folder: RunFolder, store: Store, local: State, kept: list[Path]) -> Restored:
    """The newest good backup later than `local`; the folder that keeps what it replaces goes to `kept`."""
    backup = Backup(store, retries=0)
    newest = backup.newest(partial(is_of, run=local))
    if newest is None or not is_later(newest.info, local):
        return Restored(None, [])  # an older backup from a later step is what the run had gone back from
    return backup.restore(
        folder.path, partial(is_later, run=local), lambda: kept.append(folder.set_aside(clear=False))
    )


def name_others(url: str, project: str) -> None:
    """Say which runs have backups here, for whoever meant one of them."""
    with suppress(OSError):
        if names := ", ".join(sorted(open_store(url, project).names())[-5:]):
            log.info("backup: %s holds %s of %s; run_dir=.../NAME continues one", url, names, project)
