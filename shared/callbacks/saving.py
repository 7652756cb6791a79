"""When checkpoints are written and which roles they have: last, best, cycle-1-best, ...; whichever the framework."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any, Literal

from shared.checkpoints.folder import CheckpointFolder
from shared.errors import UserError
from shared.fit.rails import Task, Trainer
from shared.policy.retention import Checkpoint as Record
from shared.policy.retention import Retention
from shared.policy.schedule_base import Schedule
from shared.processes.interruption import Interrupted


class Saving:
    """Saves at the end of each epoch, every `every_minutes` within one, and when the run is interrupted.

    `last.ckpt` is always the newest; the one before it stays as `previous.ckpt`. `milestones` are 1-based epochs kept
    as `milestone-<epoch>.ckpt`, `keep_cycles` the number of LR cycles whose bests are kept (null: all). Each framework
    adds how a file is written (`store`), which tensors are spoiled (`spoiled`) and how ranks agree (`most`).
    """

    def __init__(self, every_minutes: float, milestones: list[int], keep_cycles: int | None) -> None:
        self.every_seconds = 60 * every_minutes
        self.milestones, self.keep_cycles = tuple(milestones), keep_cycles
        self.records: dict[str, Record] = {}
        self.last_metric: float | None = None
        self.saved_at = time.monotonic()

    def setup(self, trainer: Trainer, task: Task, stage: str) -> None:
        self.folder = CheckpointFolder(task.rails.folder.checkpoints)
        self.retention = Retention(task.rails.mode, self.milestones, self.keep_cycles)

    def files_at_most(self, schedule: Schedule, mode: Literal["min", "max"]) -> int:
        """Checkpoints that may lie in the run folder at once, the one being written included."""
        kept = Retention(mode, self.milestones, self.keep_cycles)
        return kept.files_at_most(schedule.cycle(schedule.total_steps - 1)) + 2

    def state_dict(self) -> dict[str, Any]:
        records = {role: asdict(record) for role, record in self.records.items()}
        return {"records": records, "last_metric": self.last_metric}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.records = {role: Record(**record) for role, record in state["records"].items()}
        self.last_metric = state["last_metric"]

    def on_fit_start(self, trainer: Trainer, task: Task) -> None:
        if trainer.is_global_zero:
            self.folder.clean()
            if source := task.rails.start.checkpoint:
                self.records = self.folder.heal(self.records, source, self.retention.roles)
        self._report(task)

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        self.saved_at = time.monotonic()
        task.rails.interruption.defer()
        if trainer.ckpt_path is None:
            self.save(trainer, task)  # a full disk shows now, and the first epoch has a state to go back to
        self._obey(trainer, task)

    def on_train_batch_end(self, trainer: Trainer, task: Task, out: Any, batch: Any, batch_idx: int) -> None:
        late, signum = self._agree(trainer, task)
        if late or signum:
            self.save(trainer, task)
        if signum:
            raise Interrupted(signum)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        task: Task,
        out: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.on_train_batch_end(trainer, task, out, batch, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        validated = any(name.startswith("val/") for name in task.results)
        if validated and task.rails.monitor not in task.results:
            known = ", ".join(sorted(task.results))
            raise UserError(f"no metric {task.rails.monitor!r}", "monitor.name", f"choose one of {known}")
        self.last_metric = task.results.get(task.rails.monitor)
        self.save(trainer, task, self.last_metric)
        self._obey(trainer, task)

    def save(self, trainer: Trainer, task: Task, metric: float | None = None) -> None:
        """Write the newest state; decide its roles first, so that the file itself remembers them."""
        step, schedule = trainer.global_step, task.rails.schedule
        epoch = trainer.current_epoch + 1
        record = Record(f"{step:08d}", epoch, step, metric, schedule.cycle(max(step - 1, 0)), verified=True)
        before = self.records
        self.records = {**self.retention.roles([*before.values(), record]), "last": record}
        self.saved_at = time.monotonic()
        try:
            spoiled = self.spoiled(task)
            if trainer.world_size > 1 and self.most(trainer, [len(spoiled)])[0]:
                spoiled = spoiled or ["a tensor of another rank"]
            if spoiled:
                raise OSError(f"{spoiled[0]} holds NaN or inf")
            self._write(trainer, record, set(before))
        except OSError as error:
            self.records = before
            cause = error.strerror or error
            message = (
                f"checkpoint of step {step} not written: {cause} ({self.folder.path}); earlier ones are kept"
            )
            at = {"epoch": epoch, "step": step}
            task.rails.folder.events.add("checkpoint_failed", message, **at, level=logging.ERROR)
            return
        self._report(task)
        for tell in task.rails.saved if trainer.is_global_zero else []:
            tell(self.records)

    def _agree(self, trainer: Trainer, task: Task) -> tuple[bool, int]:
        """Whether the last save was long ago, and the signal to obey (0: none): on all ranks as on any of them."""
        late = time.monotonic() - self.saved_at > self.every_seconds and not trainer.validating
        signum = task.rails.interruption.requested or 0
        if trainer.world_size > 1:
            late, signum = self.most(trainer, [int(late), signum])
        return bool(late), signum

    def _obey(self, trainer: Trainer, task: Task) -> None:
        """End the run, now that all is saved, if it was asked to."""
        if signum := self._agree(trainer, task)[1]:
            raise Interrupted(signum)

    def _write(self, trainer: Trainer, record: Record, before: set[str]) -> None:
        """Save on all ranks; the first one then puts the file in its places."""
        error = self.store(trainer, self.folder.written)
        if not trainer.is_global_zero:
            return
        try:
            if error is not None:
                raise error
            self.folder.commit()
        finally:
            self.folder.written.unlink(missing_ok=True)
        held = [role for role, holder in self.records.items() if holder == record and role != "last"]
        self.folder.assign(held, before - self.records.keys())

    def _report(self, task: Task) -> None:
        """This callback's part of the summary."""
        best = self.records.get("best")
        bests = [record for role, record in self.records.items() if role.startswith("cycle-")]
        task.rails.cycle_bests = {record.cycle: record.metric for record in bests}
        task.rails.summary["monitor"] = {
            "name": task.rails.monitor,
            "mode": task.rails.mode,
            "best": best.metric if best else None,
            "best_epoch": best.epoch if best else None,
            "last": self.last_metric,
        }
        paths = {role: str(self.folder.file(role)) for role in self.records}
        task.rails.summary["checkpoints"] = {"best": None, "last": None, **paths}
