"""Writes checkpoints: one file per save, verified, then linked to its roles (last, best, cycle-1-best, ...)."""

import logging
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from shared.errors import UserError
from shared.policy.retention import Checkpoint as Record
from shared.policy.retention import Retention
from shared.resume import broken
from shared.training import Task

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Saves at the end of each epoch, every `every_minutes` within one, and when the run is interrupted.

    `last.ckpt` is always the newest; the one before it stays as `previous.ckpt`. `milestones` are 1-based epochs kept
    as `milestone-<epoch>.ckpt`, `keep_cycles` the number of LR cycles whose bests are kept (null: all).
    """

    def __init__(self, every_minutes: float, milestones: list[int], keep_cycles: int | None) -> None:
        self.every_seconds = 60 * every_minutes
        self.milestones, self.keep_cycles = tuple(milestones), keep_cycles
        self.records: dict[str, Record] = {}
        self.saved_at = time.monotonic()

    def setup(self, trainer: lightning.Trainer, task: Task, stage: str) -> None:
        self.folder = task.rails.folder.checkpoints
        self.retention = Retention(task.rails.mode, self.milestones, self.keep_cycles)

    def state_dict(self) -> dict[str, Any]:
        return {"records": {role: asdict(record) for role, record in self.records.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.records = {role: Record(**record) for role, record in state["records"].items()}

    def on_train_start(self, trainer: lightning.Trainer, task: Task) -> None:
        self.saved_at = time.monotonic()
        task.rails.interruption.training = True
        self._report(task)
        task.rails.interruption.check()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, task: Task, out: Any, batch: Any, batch_idx: int
    ) -> None:
        if task.rails.interruption.requested is not None:
            self._interrupted(trainer, task)
        last = batch_idx + 1 == trainer.num_training_batches
        if time.monotonic() - self.saved_at > self.every_seconds and not last:
            self.save(trainer, task)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        task: Task,
        out: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if task.rails.interruption.requested is not None and trainer.state.fn == "fit":
            self._interrupted(trainer, task)

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: Task) -> None:
        validated = any(name.startswith("val/") for name in task.results)
        if validated and task.rails.monitor not in task.results:
            known = ", ".join(sorted(task.results))
            raise UserError(f"no metric {task.rails.monitor!r}", "monitor.name", f"choose one of {known}")
        self.save(trainer, task, task.results.get(task.rails.monitor))
        task.rails.interruption.check()

    def on_train_end(self, trainer: lightning.Trainer, task: Task) -> None:
        task.rails.interruption.training = False

    def save(self, trainer: lightning.Trainer, task: Task, metric: float | None = None) -> None:
        """Write the newest state; decide its roles first, so that the file itself remembers them."""
        step, schedule = trainer.global_step, task.rails.schedule
        epoch = trainer.current_epoch + 1
        record = Record(f"{step:08d}", epoch, step, metric, schedule.cycle(max(step - 1, 0)), verified=True)
        before, self.records = self.records, self.retention.roles([*self.records.values(), record])
        try:
            self._write(trainer)
        except OSError as error:
            self.records = before
            message = (
                f"checkpoint of step {step} not written: {error.strerror or error}; earlier ones are kept"
            )
            task.rails.folder.events.add(
                "checkpoint_failed", message, epoch=epoch, step=step, level=logging.ERROR
            )
            return
        self._assign(record, set(before) - set(self.records))
        self.saved_at = time.monotonic()
        self._report(task)

    def _write(self, trainer: lightning.Trainer) -> None:
        """Into a temporary file, read back, and only then in the place of last.ckpt."""
        last, previous = self.folder / "last.ckpt", self.folder / "previous.ckpt"
        written = self.folder / ".writing.ckpt"
        try:
            trainer.save_checkpoint(written, weights_only=False)
            if not trainer.is_global_zero:
                return
            if reason := broken(written):
                raise OSError(f"what was written cannot be read back: {reason}")
            if last.exists():
                link(last, previous)
            written.replace(last)
        finally:
            if trainer.is_global_zero:
                written.unlink(missing_ok=True)

    def _assign(self, record: Record, retired: set[str]) -> None:
        """Link the new file to its roles; roles that are over lose their file."""
        for role, holder in self.records.items():
            if holder == record and role != "last":
                link(self.folder / "last.ckpt", self.folder / f"{role}.ckpt")
        for role in retired:
            (self.folder / f"{role}.ckpt").unlink(missing_ok=True)

    def _interrupted(self, trainer: lightning.Trainer, task: Task) -> None:
        self.save(trainer, task)
        task.rails.interruption.check()

    def _report(self, task: Task) -> None:
        """This callback's part of the summary."""
        best, last = self.records.get("best"), task.results.get(task.rails.monitor)
        bests = [record for role, record in self.records.items() if role.startswith("cycle-")]
        task.rails.cycle_bests = {record.cycle: record.metric for record in bests}
        task.rails.summary["monitor"] = {
            "name": task.rails.monitor,
            "mode": task.rails.mode,
            "best": best.metric if best else None,
            "best_epoch": best.epoch if best else None,
            "last": last,
        }
        paths = {role: str(self.folder / f"{role}.ckpt") for role in self.records}
        task.rails.summary["checkpoints"] = {"best": None, "last": None, **paths}


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` in one step: a hard link, or a copy where there are none."""
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
