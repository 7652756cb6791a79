"""The learning rates to come: from a file, a schedule in words, the run's config, or the log's own shape."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from shared.errors import UserError
from shared.policy import schedule as schedules
from shared.runs.forecast.shape import recognise
from shared.runs.reading.runlog import RunLog
from shared.runs.reading.table import read_csv

KINDS = {
    "constant": schedules.Constant,
    "linear": schedules.Linear,
    "cosine": schedules.Cosine,
    "cosine_restarts": schedules.CosineRestarts,
    "one_cycle": schedules.OneCycle,
}
MAX_UNTIL = 10_000


@dataclass(frozen=True)
class Plan:
    """`lr` of the epochs from 1 to `until`, and in `source` where it comes from.

    `as_logged`: whether the numbers follow the log, which may run one epoch ahead of the training.
    """

    lr: np.ndarray
    source: str
    as_logged: bool

    @property
    def until(self) -> int:
        return len(self.lr)


def past_lr(run: RunLog) -> np.ndarray | None:
    """The logged learning rate of every epoch from 1 to the last, gaps filled; None where none was logged."""
    lr = run.lr
    if lr is None or not np.isfinite(lr).any() or np.nanmax(lr) <= 0:
        return None
    known = np.isfinite(lr)
    return np.interp(np.arange(1, run.epochs[-1] + 1), run.epochs[known], lr[known])


def make_plan(
    run: RunLog, until: int | None, file: Path | None, words: str | None, whole: RunLog | None = None
) -> Plan:
    """The best-founded plan there is; `until` wins over what the plan itself says of its length.

    `whole`: the log that `run` is the measured part of; rates it holds beyond that are a plan too.
    """
    last = int(run.epochs[-1])
    if until is not None and not last < until <= MAX_UNTIL:
        raise UserError(
            f"nothing to forecast until epoch {until}", "--until", f"give {last + 1} to {MAX_UNTIL}"
        )
    past = past_lr(run)
    length = until or planned_epochs(run)
    if file is not None:
        return _after(run, _from_file(file, last, until))
    if words is not None:
        return _after(run, _from_words(words, past, length or 2 * last))
    built = _from_config(run, length)
    if built is not None:
        return _after(run, built)
    ahead = past_lr(whole) if whole is not None else None
    if ahead is not None and len(ahead) > last + 1 and (until is None or until <= len(ahead)):
        return Plan(ahead[:until], "the log's own later rows", True)  # one row more is the epoch under way
    if past is None:
        return Plan(np.ones(length or 2 * last), "no learning rate is known: taken as constant", True)
    shape = recognise(past)
    lr = shape.extend(past, length or shape.until or 2 * last)
    return Plan(lr, f"the log's own shape: {shape.words}", True)


def planned_epochs(run: RunLog) -> int | None:
    """How long the run means to go on, when its config says so and that is still ahead."""
    trainer = run.config.get("trainer")
    found = [
        trainer.get("max_epochs") if isinstance(trainer, dict) else None,
        run.config.get("max_epochs"),
        run.config.get("epochs"),
    ]
    last = int(run.epochs[-1])
    return next((n for n in found if isinstance(n, int) and last < n <= MAX_UNTIL), None)


def _after(run: RunLog, plan: Plan) -> Plan:
    """The plan with the logged rates in its past: an extended run was not trained at its new plan's early ones.

    A log that runs one epoch ahead of the plan throughout is left out: there the plan is what was used.
    """
    past, lr, last = past_lr(run), plan.lr.copy(), int(run.epochs[-1])
    if plan.until <= last:
        raise UserError(
            f"the plan ends before epoch {last + 1}", plan.source, f"plan more than {last} epochs"
        )
    if past is None or np.allclose(past, lr[1 : last + 1], rtol=0.01):
        return plan
    first = run.epochs[np.isfinite(run.lr)][0] - 1  # of epochs before the log begins, the plan knows more
    lr[first:last] = past[first:]
    return replace(plan, lr=lr)


def _from_file(file: Path, last: int, until: int | None) -> Plan:
    table = read_csv(file)
    if "epoch" not in table.columns or "lr" not in table.columns:
        raise UserError(
            "a plan needs the columns epoch and lr", str(file), "write `epoch,lr` as its first line"
        )
    known = np.isfinite(table.columns["epoch"]) & np.isfinite(table.columns["lr"])
    epoch, lr = table.columns["epoch"][known], table.columns["lr"][known]
    if not len(epoch) or epoch.max() <= last or lr.min() < 0:
        mend = f"plan non-negative rates for epochs {last + 1} and on"
        raise UserError(f"the plan says nothing of the epochs after {last}", str(file), mend)
    order = np.argsort(epoch)
    end = int(min(until or epoch.max(), MAX_UNTIL))
    full = np.interp(np.arange(1, end + 1), epoch[order], lr[order])
    return Plan(full, f"{file.name}", False)


def _from_words(words: str, past: np.ndarray | None, until: int) -> Plan:
    """`cosine_restarts:t_0=30,eta_min=1e-5,lr=0.05`: a schedule of shared/policy and its fields, in epochs."""
    kind, _, rest = words.partition(":")
    if kind not in KINDS:
        raise UserError(f"no schedule named {kind}", "--schedule", f"one of {', '.join(KINDS)}")
    try:
        values = {k.strip(): float(v) for k, v in (part.split("=") for part in rest.split(",") if part)}
    except ValueError as error:
        raise UserError(f"cannot read {rest!r}", "--schedule", "write name=number, name=number") from error
    peak = values.pop("lr", None) or (past.max() if past is not None else 1.0)
    until = int(values.pop("epochs", until))
    return Plan(_rates(kind, values, float(peak), until, 1, "epoch", until), f"--schedule {words}", False)


def _from_config(run: RunLog, until: int | None) -> Plan | None:
    """The plan of our own config.yaml: `schedule._target_`, `optimizer.lr`, `trainer.max_epochs`."""
    schedule, optimizer = run.config.get("schedule"), run.config.get("optimizer")
    if not isinstance(schedule, dict) or not isinstance(optimizer, dict) or until is None:
        return None
    target = str(schedule.get("_target_", "")).rpartition(".")[2]
    kind = next((k for k, c in KINDS.items() if c.__name__ == target), None)
    peak = optimizer.get("lr", optimizer.get("learning_rate"))
    if kind is None or not isinstance(peak, (int, float)):
        return None
    plan = run.summary.get("plan")
    steps = plan.get("steps_per_epoch", 100) if isinstance(plan, dict) else 100
    interval = schedule.get("interval", "step")
    epochs = planned_epochs(run) or until
    lr = _rates(kind, schedule, float(peak), epochs, steps if interval == "step" else 1, interval, until)
    return Plan(lr, f"the run's config: {kind}", False)


def _rates(
    kind: str, values: dict, peak: float, epochs: int, steps: int, interval: str, until: int
) -> np.ndarray:
    """The rate of each epoch's last step."""
    known = {f.name for f in fields(KINDS[kind])} - {"peak", "epochs", "steps_per_epoch", "interval"}
    wrong = [k for k in values if k not in known and k not in ("_target_", "_partial_", "interval")]
    if wrong:
        raise UserError(
            f"{kind} has no {wrong[0]}", "--schedule", f"it has {', '.join(sorted(known)) or 'none'}"
        )
    whole = {"t_mult"}
    settings = {k: int(v) if k in whole else v for k, v in values.items() if k in known}
    try:
        built = KINDS[kind](peak=peak, epochs=epochs, steps_per_epoch=steps, interval=interval, **settings)
    except (ValueError, TypeError) as error:
        raise UserError(str(error), f"schedule {kind}", "mend its settings") from error
    return np.array(
        [built.lr(min(epoch * steps, built.total_steps + 10**9) - 1) for epoch in range(1, until + 1)]
    )
