"""What the metrics say of a run as it went: non-finite rows, restarts, frozen and flat metrics, throughput."""

import re

import numpy as np

from shared.runs.diagnosis.finding import Finding
from shared.runs.reading import names
from shared.runs.reading.restarts import find_restarts
from shared.runs.reading.runlog import RunLog, best_index

MADE_GOOD = 0.02  # relative; a peak this close to the one before the restart has made the restart good


def non_finite(run: RunLog) -> list[Finding]:
    """The first epoch at which each column stopped being a number, and what stood before it."""
    found = []
    for column, epoch in sorted(run.first_bad.items(), key=lambda item: item[1])[:1]:
        others = [f"{n} from epoch {e}" for n, e in run.first_bad.items() if n != column]
        values = run.columns[column]
        before = values[(run.epochs < epoch) & np.isfinite(values)]
        evidence = [f"the last finite values of {column}: " + ", ".join(f"{v:.4g}" for v in before[-3:])]
        if run.lr is not None and np.isfinite(rate := run.lr[run.epochs == epoch]).any():
            evidence.append(f"learning rate there: {rate[0]:.3g}")
        wasted = run.epochs[-1] - epoch + 1
        share = wasted / run.epochs[-1]
        evidence += [*others, f"{wasted} epochs ({share:.0%} of the run) were trained from there on"]
        message = f"{column} is not finite from epoch {epoch}"
        found.append(
            Finding("non_finite", "error", message, epoch, str(run.path), evidence,
                    f"python scripts/checkpoints.py {run.path}")
        )  # fmt: skip
    return found


def restarts(run: RunLog) -> list[Finding]:
    """Rises of the learning rate: a planned restart that was never made good, or one that nobody planned."""
    if run.lr is None or run.first_bad:
        return []
    found = []
    metric, values = run.metric()
    sign = 1 if run.mode(metric) == "max" else -1
    schedule = (
        str((run.config.get("schedule") or {}).get("_target_", ""))
        if isinstance(run.config.get("schedule"), dict)
        else ""
    )
    for restart in find_restarts(run.epochs, run.lr):
        before, after = values[run.epochs < restart.epoch], values[run.epochs >= restart.epoch]
        if not np.isfinite(before).any() or not np.isfinite(after).any():
            continue
        best, first = np.nanmax(sign * before), sign * after[np.isfinite(after)][0]
        if restart.epoch < run.epochs[-1] and np.nanmax(sign * after) >= best - MADE_GOOD * abs(best):
            continue  # made good: what a restart is for
        peak = np.nanmax(run.lr[run.epochs < restart.epoch])
        back_to_peak = 0.8 < restart.after / peak < 1.25
        planned = "Restart" in schedule or (not schedule and back_to_peak)
        change = f"{metric} {names.show(metric, sign * best)} -> {names.show(metric, sign * first)}"
        code = "lr_restart" if planned else "lr_jump_unplanned"
        kind = "restarted" if planned else "jumped without a plan"
        message = f"the learning rate {kind} at epoch {restart.epoch}, x{restart.ratio:.3g}; {change}"
        evidence = [
            f"learning rate {restart.before:.6g} -> {restart.after:.6g} at epoch {restart.epoch}",
            change,
        ]
        if not planned:
            evidence.append("a resume that lost the scheduler's state looks like this")
        command = f"python scripts/forecast.py {run.path} --metric {metric}"
        found.append(Finding(code, "warning", message, restart.epoch, str(run.path), evidence, command))
    return found


def frozen(run: RunLog) -> list[Finding]:
    """Held-out metrics that repeat to the last digit: a dead model, unless the rate has simply gone to zero."""
    columns = [n for n in run.metric_names() if names.held_out(n) and not n.startswith("best")]
    if not columns:
        return []
    lengths = []
    for name in columns:
        values = run.columns[name][np.isfinite(run.columns[name])]
        same = np.flatnonzero(values[::-1] != values[-1]) if len(values) else np.array([0])
        lengths.append(len(values) if not len(same) else int(same[0]))
    rows = min(lengths)
    known = np.isfinite(run.columns[columns[0]])
    epochs = run.epochs[known]
    span = epochs[-1] - epochs[-rows] if rows else 0
    sure = rows >= (5 if len(columns) > 1 else 10) or (rows >= 3 and span >= 100)
    value = run.columns[columns[0]][known][-1] if known.any() else 0.0
    annealed = (
        run.lr is not None
        and np.isfinite(run.lr).any()
        and run.lr[np.isfinite(run.lr)][-1] < 0.01 * np.nanmax(run.lr)
    )
    if not sure or value == 0 or rows == len(epochs) or (annealed and not run.first_bad):
        return []
    first = int(epochs[-rows])
    message = (
        f"{columns[0]} stands still at {names.show(columns[0], value)} from epoch {first} to {epochs[-1]}"
    )
    evidence = [f"{rows} validations with the same value to the last digit, in {', '.join(columns)}"]
    command = f"python scripts/checkpoints.py {run.path}"
    return [
        Finding(
            "metric_frozen",
            "error" if run.first_bad else "warning",
            message,
            first,
            str(run.path),
            evidence,
            command,
        )
    ]


def flat_zero(run: RunLog) -> list[Finding]:
    """A rate that is zero in every row while a loss falls: the metric is computed wrongly, not earned."""
    losses = [run.columns[n] for n in run.metric_names() if names.kind(n) == "loss" and not names.held_out(n)]
    falling = any(len(c := loss[np.isfinite(loss)]) >= 5 and c[-1] < 0.95 * c[0] for loss in losses)
    found = []
    for name in run.metric_names():
        values = run.columns[name][np.isfinite(run.columns[name])]
        if falling and names.is_rate(name) and len(values) >= 5 and not values.any():
            message = (
                f"{name} is 0 in all {len(values)} epochs while the loss falls: it is not measuring anything"
            )
            hint = "labels and outputs of different order or length, as when embeddings are averaged over utterances"
            found.append(
                Finding("flat_zero_metric", "warning", message, int(run.epochs[0]), str(run.path), [hint])
            )
    return found


def throughput(run: RunLog) -> list[Finding]:
    """Speed in the last third against the first: disks, neighbours, leaks, a starving loader."""
    found = []
    for name, column in run.columns.items():
        fast = re.search(r"samples_per_second|images_per_sec|throughput|it/s|img/s", name, re.I)
        slow = re.search(r"epoch_?(time|seconds|minutes)|seconds_per_epoch", name, re.I)
        values = column[np.isfinite(column)][1:]  # the first epoch warms caches
        if not (fast or slow) or len(values) < 6:
            continue
        third = len(values) // 3
        first, last = np.median(values[:third]), np.median(values[-third:])
        ratio = last / first if fast else first / last
        if ratio < 0.7:
            message = f"training runs at {ratio:.0%} of its first speed ({name} {first:.4g} -> {last:.4g})"
            epoch = int(run.epochs[np.isfinite(column)][-third])
            hint = "look for a full disk cache, a leaking worker, another job on the machine, thermal limits"
            found.append(Finding("throughput_drop", "warning", message, epoch, str(run.path), [hint]))
    for name, column in run.columns.items():
        share = column[np.isfinite(column)]
        if (
            re.search(r"data_(time_)?share|wait_share|data_wait", name, re.I)
            and len(share)
            and np.median(share) > 0.3
        ):
            message = f"the device waits for data {np.median(share):.0%} of the time ({name})"
            found.append(
                Finding("throughput_drop", "warning", message, None, str(run.path), [], "hardware.workers=…")
            )
    return found


def best_epoch(run: RunLog, metric: str) -> tuple[int, float]:
    index = best_index(run.columns[metric], run.mode(metric))
    return int(run.epochs[index]), float(run.columns[metric][index])
