"""A forecast as one JSON object and as a page of text."""

from shared.runs.forecast.result import Forecast
from shared.runs.reading import names


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


def headlines(made: Forecast) -> list[str]:
    """The answer, the target, restarts and early stopping, a sentence each."""
    metric, q = made.metric, made.quantiles
    lines = [
        f"{metric}: best {show(metric, made.best)} at epoch {made.best_epoch}, forecast from epoch "
        f"{made.last_epoch} ({made.plan})",
        f"epoch {made.epochs[-1]}: {show(metric, made.median[-1])}, 80 % between "
        f"{_band(metric, q[0.1][-1], q[0.9][-1])}, 95 % between {_band(metric, q[0.025][-1], q[0.975][-1])}",
    ]
    if made.target:
        when = made.target["epoch_median"]
        chance = f"target {show(metric, made.target['value'])}: probability {made.target['probability']:.0%}"
        lines.append(chance + (f", even odds at epoch {when}" if when else ""))
    lines += [_restart(metric, restart) for restart in made.restarts]
    return lines + ([made.early_stopping] if made.early_stopping else [])


def milestones(made: Forecast) -> list[list[str]]:
    """Header and rows: when to look again, what to expect, and what either half of it would mean."""
    rows = [["check at epoch", "expect (80 %)", "end, if below the middle", "end, if above"]]
    for mark in made.milestones:
        ends = [show(made.metric, mark[k]) for k in ("final_if_below", "final_if_above")]
        rows.append([str(mark["epoch"]), _band(made.metric, mark["p10"], mark["p90"]), *ends])
    return rows


def what_ifs(made: Forecast) -> list[list[str]]:
    """Header and rows of the other schedules."""
    rows = [["what if", "until", "epochs", "hours", "median", "80 % band", "reaches target"]]
    for w in made.what_ifs:
        hours = "-" if w["hours"] is None else f"{w['hours']:.1f}"
        chance = "-" if w["p_target"] is None else f"{w['p_target']:.0%}"
        band = _band(made.metric, *sorted((w["p10"], w["p90"])))
        rows.append(
            [
                w["name"],
                str(w["until"]),
                str(w["epochs"]),
                hours,
                show(made.metric, w["median"]),
                band,
                chance,
            ]
        )
    return rows


def as_text(made: Forecast) -> str:
    """The answer first, then milestones, other schedules and doubts."""
    tables = [rows for rows in (milestones(made), what_ifs(made)) if len(rows) > 1]
    lines = headlines(made) + [line for rows in tables for line in ["", *_aligned(rows)]]
    return "\n".join(lines + [f"note: {warning}" for warning in made.warnings])


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["   ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _band(metric: str, low: float, high: float) -> str:
    return f"{show(metric, low)} to {show(metric, high)}"


def _restart(metric: str, restart: dict) -> str:
    regained = restart["regained_epoch"]
    back = f"regained at epoch {regained}" if regained else "not regained in this plan"
    size = f" ({100 * restart['drop']:.1f} points)" if restart["drop"] and names.is_rate(metric) else ""
    return (
        f"restart at epoch {restart['epoch']}, LR x{restart['lr_ratio']:g}: {show(metric, restart['before'])} -> "
        f"{show(metric, restart['after_median'])}{size}; the peak of {show(metric, restart['peak'])} is {back}"
    )
