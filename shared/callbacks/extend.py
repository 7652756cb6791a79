"""resume_mode=extend: the config's settings over a checkpoint's weights, moments and counters, and what they change."""

from __future__ import annotations

import logging
from typing import Any

from rich.console import Console
from rich.table import Table

from shared.checkpoints.resume import Start
from shared.errors import UserError
from shared.fit.rails import Task
from shared.record.preflight import batch_in_words

EPOCHS_SHOWN = 10
JUMP = 2.0


def translate(state: dict[str, Any], steps_per_epoch: int, batch: int) -> dict[str, Any]:
    """The position in epochs of `steps_per_epoch` batches of `batch` samples; steps count as if it had always been so.

    Within an epoch, the new position is at or before the old one: no sample is left out.
    """
    config = state["config"]
    old_steps, old_batch = state["steps_per_epoch"], config["effective_batch_size"]
    if (old_steps, old_batch) == (steps_per_epoch, batch):
        return state
    if state["batch"] == old_steps:
        batches = steps_per_epoch
    else:
        batches = min(state["batch"] * old_batch // batch, steps_per_epoch - 1)
    return {**state, "batch": batches, "step": state["epoch"] * steps_per_epoch + batches}


def same_optimizer(start: Start) -> None:
    """Raise UserError if the moments of the checkpoint are another optimizer's."""
    if any(each.key == "optimizer._target_" for each in start.differences):
        mend = "keep the optimizer, or take the weights only with resume_mode=weights"
        raise UserError("another optimizer cannot use the moments of the first", "optimizer", mend)


def note_jump(task: Task, step: int) -> None:
    """Remember whether the LR of the next step is far above the last one's."""
    last, following = task.rails.start.state["lr"], task.rails.schedule.lr(step)
    if last and following > JUMP * last:
        task.rails.start.lr_jump = following / last


def announce(task: Task) -> None:
    """Say where the run goes on and, if it is extended, with which settings and learning rates."""
    start, events = task.rails.start, task.rails.folder.events
    state = start.state
    epoch, at = state["epoch"] + 1, {"epoch": state["epoch"] + 1, "step": state["step"]}
    place = f"epoch {epoch}" + (f", batch {state['batch'] + 1}" if state["batch"] else "")
    batching = task.rails.batching
    message = f"resume={start.mode}: on with {place}, step {state['step']}, from {start.path}"
    if (before := state.get("devices", batching.devices)) != batching.devices:
        message += (
            f"; {before} -> {batching.devices} devices, now {batch_in_words(batching)}, the LR as planned"
        )
    events.add("resumed", message, **at)
    if start.mode != "extend":
        return
    rates = upcoming(task, epoch)
    show(start, rates)
    changed = "; ".join(map(str, start.differences)) or "no setting"
    events.add("extended", f"changed by resume_mode=extend: {changed}", **at, lr_of_epochs=rates)
    if start.lr_jump:
        message = f"the LR goes from {state['lr']:.4g} to {task.rails.schedule.lr(state['step']):.4g}"
        message += (
            f" (x{start.lr_jump:,.3g}): expect the metric to fall, then to recover as the LR comes down"
        )
        events.add("lr_jump", message, **at, level=logging.WARNING, ratio=start.lr_jump)


def upcoming(task: Task, epoch: int) -> dict[int, float]:
    """LR at the beginning of the next epochs, by their 1-based number."""
    schedule = task.rails.schedule
    epochs = range(epoch, min(epoch + EPOCHS_SHOWN, schedule.epochs + 1))
    return {each: schedule.lr((each - 1) * schedule.steps_per_epoch) for each in epochs}


def show(start: Start, rates: dict[int, float]) -> None:
    """Two tables: every setting that differs, and the learning rates to come."""
    changed = Table("setting", "checkpoint", "now", title="resume_mode=extend")
    for key, before, now in start.differences:
        changed.add_row(key, str(before), str(now))
    coming = Table("epoch", "LR at its start", title="learning rates to come")
    for epoch, lr in rates.items():
        coming.add_row(str(epoch), f"{lr:.4g}")
    for table in (changed, coming):
        Console().print(table)
