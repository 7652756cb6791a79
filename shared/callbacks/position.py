"""Where a run stands, as its checkpoints hold it whichever the framework: position, means, config."""

from __future__ import annotations

from typing import Any

from shared.errors import UserError
from shared.fit.rails import Task
from shared.record.summary import restarts


def run_state(task: Task, position: dict[str, int]) -> dict[str, Any]:
    """`position`: epochs that are over, batches done in the one under way, optimizer steps."""
    rails, meter = task.rails, task.meter.state_dict()
    meter |= {name: task.over_ranks(meter[name]) for name in ("epoch", "window")}
    return {
        **position,
        "steps_per_epoch": rails.schedule.steps_per_epoch,
        "samples": rails.sampler.samples,
        "meter": meter,
        "devices": rails.batching.devices,
        "lr": task.lr,
        "columns": dict(task.columns),
        "metrics_rows": len(rails.folder.metrics),
        "restarts": restarts(rails.schedule, position["step"], rails.start.state),
        "status": rails.summary.get("status"),
        "samples_per_second": rails.summary.get("samples_per_second"),
        "seconds": rails.seconds,
        "run_id": rails.folder.id,
        "began": rails.start.began,
        "config": rails.config,
        "overrides": rails.overrides,
    }


def check_samples(state: dict[str, Any], samples: int) -> None:
    """Raise UserError if the data differ from the checkpoint's."""
    if state["samples"] != samples:
        what = f"the data have {samples} samples, not {state['samples']} as before"
        raise UserError(what, "data", "restore them, or go on with resume_mode=extend")


def take_back(task: Task, state: dict[str, Any]) -> None:
    """Means, columns and the rows of metrics.csv as they were."""
    task.meter.load_state_dict(state["meter"])
    task.lr, task.columns = state["lr"], dict(state["columns"])
    task.rails.folder.metrics.cut(state["metrics_rows"])
    task.rails.start.state = state


def is_over(task: Task, epochs: int) -> bool:
    """Whether nothing is left to train; the summary then keeps what the run had reached."""
    start, summary = task.rails.start, task.rails.summary
    if start.is_over(epochs):
        summary |= {key: start.state[key] for key in ("status", "samples_per_second") if start.state[key]}
    return start.is_over(epochs)
