"""Backs up a run while it trains: in a thread of its own, verified, never in the way and never in silence."""

import itertools
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared.backups.archive import Backup, BackupError
from shared.backups.latest import Latest
from shared.backups.manifest import Manifest, is_later, is_of
from shared.backups.remote import open_store
from shared.backups.restoring import name_others, restore
from shared.backups.stores import same_place
from shared.policy.retention import Checkpoint as Record
from shared.record.folder import HISTORY, RunFolder
from shared.record.preflight import size

log = logging.getLogger(__name__)
TELL_EVERY = 10.0
HISTORY_OF_A_RUN = (*HISTORY, "config.yaml")
JOB = re.compile(r"job_\d+")
"""hydra.sweep.subdir of conf/base.yaml; under another, the multirun.yaml that Hydra writes tells a sweep."""


@dataclass(frozen=True)
class State:
    """What is backed up as one whole: files by their name in the run folder; `links` holds them unchanged."""

    files: Mapping[str, Path]
    info: Mapping[str, Any]
    links: Path

    def discard(self) -> None:
        shutil.rmtree(self.links, ignore_errors=True)


class Backups:
    """Copies a run to `url`/`project`/`name_of` its folder, and restores it from there.

    `keep` backups of this run stay; `retries` as in policy.Backup; `wait_minutes` bounds the wait at the run's end.
    """

    def __init__(
        self, folder: RunFolder, project: str, url: str, keep: int, retries: int, wait_minutes: float
    ) -> None:
        self.folder, self.project, self.url, self.keep = folder, project, url, keep
        self.wait_seconds = 60 * wait_minutes
        name = name_of(folder.path)
        self.place = "/".join([url.rstrip("/"), project, name])
        self.store = open_store(url, project, name)
        self.hurry = threading.Event()
        self.backup = Backup(self.store, retries, sleep=self.hurry.wait, sent=self._count)
        self.worker: Latest[State] = Latest("backup", self._back_up, State.discard)
        self.numbers = itertools.count(1)
        self.checked, self.skipped = False, ""
        self.began: list[str] | None = None
        self.latest: dict[str, Record] = {}
        self.newest: Manifest | None = None
        self.failures, self.cause, self.sent = 0, "", 0
        for links in folder.checkpoints.glob(".backup-*"):  # a killed process left these
            shutil.rmtree(links, ignore_errors=True)
        for part in [*folder.path.glob("*.part"), *folder.checkpoints.glob("*.part")]:
            part.unlink()

    def restore(self, local: Mapping[str, Any] | None = None, began: list[str] | None = None) -> bool:
        """Fetch the run's newest good backup into its folder; False if there is none. See `restoring`."""
        restored = restore(self.folder, self.store, self.place, local, began)
        if local is None and not restored:
            name_others(self.url, self.project)
        return restored

    def start(self, began: list[str] | None = None) -> None:
        """See whether the place can be used, and say so if not; the run goes on in any case.

        `began`: the `resume` path and mode that it began with, for `restore`.
        """
        self.began = began
        try:
            self._check()
        except Exception as error:  # whatever a file system raises
            self._event(
                "backup_failed", f"backups cannot be written now: {error}; each checkpoint tries again", {}
            )
        if self.skipped:
            self._event("backup_skipped", f"no backups: {self.skipped}; choose another backup.url", {})

    def describe(self) -> str:
        return f"none: {self.skipped}" if self.skipped else f"{self.place}, verified; {self.keep} are kept"

    def submit(self, records: Mapping[str, Record]) -> None:
        """Have a run's checkpoints, by role, backed up with its history; returns at once."""
        self.latest = dict(records)
        if self.skipped:
            return
        links = self.folder.checkpoints / f".backup-{next(self.numbers)}"
        files = {f"checkpoints/{role}.ckpt": self.folder.checkpoints / f"{role}.ckpt" for role in records}
        held = {name: hold(path, links) for name, path in files.items()}
        history = {name: self.folder.path / name for name in HISTORY_OF_A_RUN}
        held |= {name: path for name, path in history.items() if path.exists()}
        last = records["last"]
        info = {"epoch": last.epoch, "step": last.step, "time": time.time()}
        info |= {"run_id": self.folder.id, "began": self.began}
        self.worker.put(State(held, info, links))

    def finish(self, impatient: Callable[[], bool]) -> None:
        """Back up the end of the run and wait for it, for a while and unless the user is `impatient`."""
        if not self.latest or self.skipped:
            return
        self.submit(self.latest)
        began = time.monotonic()
        told = began + 1 - TELL_EVERY
        while not self.worker.wait(0.2) and not impatient():
            now = time.monotonic()
            if now - began > self.wait_seconds:
                break
            if now - told > TELL_EVERY:
                told, left = now, self.wait_seconds - (now - began)
                log.info("backup: %s sent so far, waiting up to %.0f s more", size(self.sent), left)
        self.hurry.set()
        if not self.worker.idle:
            message = f"the last backup to {self.place} was not finished; the files are in {self.folder.path}"
            self._event("backup_incomplete", message, {})

    def report(self) -> dict[str, Any]:
        """What is where, for summary.json."""
        found: dict[str, Any] = {"place": self.place, "status": "failed", "failures": self.failures}
        if self.newest is not None:
            files = {name: entry.object for name, entry in self.newest.files.items()}
            found |= {**self.newest.info, "manifest": self.newest.name, "files": files}
            upto = self.latest["last"].step if self.latest else 0
            current = self.worker.idle and not self.cause and self.newest.info["step"] == upto
            found["status"] = "complete" if current else "incomplete"
        if self.cause or self.skipped:
            found["cause"] = self.cause or self.skipped
        return found | ({"status": "skipped"} if self.skipped else {})

    def _check(self) -> None:
        """Find out once whether the place is another than the run folder and can be written; raises OSError."""
        if self.checked:
            return
        here = (self.folder.path, self.folder.checkpoints)
        above = [self.store.path, *self.store.path.parents] if self.store.path else []
        inside = [each for each in above if each.exists() and any(map(each.samefile, here))]
        if inside:
            self.skipped = f"{self.place} lies in the run folder {self.folder.path}"
        for store in (self.store, open_store(self.url)):
            for folder in here:
                self.skipped = self.skipped or same_place(store, folder) or ""
        if not self.skipped:
            probe = f"probe-{uuid.uuid4().hex}.part"
            with self.store.write(probe) as file:
                file.write(b"probe")
            self.store.delete(probe)
        self.checked = True

    def _back_up(self, state: State) -> None:
        self.sent = 0
        try:
            self._check()
            if not self.skipped:
                self.newest = self.backup.save(state.files, state.info)
                if self.cause:
                    self._event(
                        "backup_recovered", f"backups to {self.place} work again", state.info, logging.INFO
                    )
                self.cause = ""
                with suppress(BackupError):  # said in the log by the policy; what is too much does no harm
                    self.backup.prune(self.keep, partial(may_go, run=state.info))
        except Exception as error:  # whatever a file system raises, training goes on
            self.failures, self.cause = self.failures + 1, f"{error}" or type(error).__name__
            at = f"epoch {state.info['epoch']}, step {state.info['step']}"
            self._event("backup_failed", f"backup of {at} to {self.place} failed: {self.cause}", state.info)
        finally:
            state.discard()

    def _event(self, kind: str, message: str, info: Mapping[str, Any], level: int = logging.WARNING) -> None:
        at = {"epoch": info.get("epoch", 1), "step": info.get("step", 0)}
        self.folder.events.add(kind, message, **at, level=level)

    def _count(self, sent: int) -> None:
        self.sent += sent


def may_go(info: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a backup may be deleted when it is old enough: never what another machine has done since."""
    return is_of(info, run) and not is_later(info, run)


def name_of(run: Path) -> str:
    """The run folder's name; for a job of a sweep with the sweep's before it, since each sweep has a job_0."""
    job = JOB.fullmatch(run.name) or (run.parent / "multirun.yaml").exists()
    return f"{run.parent.name}/{run.name}" if job else run.name


def hold(path: Path, links: Path) -> Path:
    """A hard link to `path` in `links`, whatever its name will mean later; `path` itself where there are none."""
    held = links / path.name
    try:
        links.mkdir(exist_ok=True)
        os.link(path, held)
    except OSError:
        return path
    return held
