"""A forecast as one JSON object and as a page of text."""

from shared.runs import names
from shared.runs.forecast.forecast import Forecast


def as_json(made: Forecast) -> dict:
    q = made.quantiles
    return {
        "metric": made.metric,
        "mode": made.mode,
        "last_epoch": made.last_epoch,
        "best": made.best,
        "best_epoch": made.best_epoch,
        "plan": made.plan,
        "lr_lag": made.lag,
        "epochs": made.epochs,
        "lr": made.lr[made.last_epoch :],
        "median": q[0.5],
        "p2_5": q[0.025],
        "p10": q[0.1],
        "p25": q[0.25],
        "p75": q[0.75],
        "p90": q[0.9],
        "p97_5": q[0.975],
        "restarts": made.restarts,
        "target": made.target,
        "what_ifs": made.what_ifs,
        "milestones": made.milestones,
        "early_stopping": made.early_stopping,
        "warnings": made.warnings,
    }


def show(metric: str, value: float) -> str:
    """A rate in percent, anything else in four digits."""
    return f"{100 * value:.2f} %" if names.is_rate(metric) else f"{value:.4g}"


def as_text(made: Forecast) -> str:
    """The answer first, then restarts, milestones, other schedules and doubts."""
    metric, q = made.metric, made.quantiles

    def band(low: float, high: float) -> str:
        return f"{show(metric, low)} to {show(metric, high)}"

    best = show(metric, made.best)
    lines = [
        f"{metric}: best {best} at epoch {made.best_epoch}, forecast from epoch {made.last_epoch} ({made.plan})",
        f"epoch {made.epochs[-1]}: {show(metric, made.median[-1])}, 80 % between {band(q[0.1][-1], q[0.9][-1])}, "
        f"95 % between {band(q[0.025][-1], q[0.975][-1])}",
    ]
    if made.target:
        when = made.target["epoch_median"]
        lines.append(
            f"target {show(metric, made.target['value'])}: probability {made.target['probability']:.0%}"
            + (f", even odds at epoch {when}" if when else "")
        )
    lines += [_restart(metric, restart) for restart in made.restarts]
    lines += [made.early_stopping] if made.early_stopping else []
    if made.milestones:
        lines.append("check again:")
        for mark in made.milestones:
            lines.append(
                f"  epoch {mark['epoch']}: {band(mark['p10'], mark['p90'])}; below its middle the end is near "
                f"{show(metric, mark['final_if_below'])}, above it {show(metric, mark['final_if_above'])}"
            )
    lines += _table(made)
    return "\n".join(lines + [f"note: {warning}" for warning in made.warnings])


def _restart(metric: str, restart: dict) -> str:
    regained = restart["regained_epoch"]
    back = f"regained at epoch {regained}" if regained else "not regained in this plan"
    size = f" ({100 * restart['drop']:.1f} points)" if restart["drop"] and names.is_rate(metric) else ""
    return (
        f"restart at epoch {restart['epoch']}, LR x{restart['lr_ratio']:g}: {show(metric, restart['before'])} -> "
        f"{show(metric, restart['after_median'])}{size}; the peak of {show(metric, restart['peak'])} is {back}"
    )


def _table(made: Forecast) -> list[str]:
    if not made.what_ifs:
        return []
    width = max(len(w["name"]) for w in made.what_ifs)
    lines = [f"{'what if':{width}}   until   epochs   hours    median   80 % band            reaches target"]
    for w in made.what_ifs:
        hours = "-" if w["hours"] is None else f"{w['hours']:.1f}"
        chance = "-" if w["p_target"] is None else f"{w['p_target']:.0%}"
        ends = sorted((w["p10"], w["p90"]))
        shown = f"{show(made.metric, ends[0])} .. {show(made.metric, ends[1])}"
        median = show(made.metric, w["median"])
        lines.append(
            f"{w['name']:{width}} {w['until']:7d} {w['epochs']:8d} {hours:>7} {median:>9}   {shown:20} {chance:>6}"
        )
    return lines
