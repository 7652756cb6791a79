"""What a table of checkpoints says as a whole: notes, recommendation, trends."""

import math
from collections import Counter

from shared.runs.checkpoints.row import Row
from shared.runs.reading import names


def note(rows: list[Row]) -> None:
    """best, latest, other model, same content."""
    layouts = Counter(row.layout for row in rows if row.parameters)
    usual = layouts.most_common(1)[0][0] if layouts else 0
    for row in rows:
        if row.parameters and len(rows) > 1 and row.layout != usual:
            row.notes.append("another model")
    first: dict[str, str] = {}
    for row in rows:
        if row.sha256 and row.sha256 in first:
            row.notes.append(f"same as {first[row.sha256]}")
        first.setdefault(row.sha256, row.file)
    good = [row for row in rows if row.finite is not False and row.parameters and row.layout == usual]
    metric = main_metric(good)
    if metric:
        scored = [row for row in good if math.isfinite(row.metrics.get(metric, math.nan))]
        sign = 1 if names.mode(metric) == "max" else -1
        max(scored, key=lambda row: sign * row.metrics[metric]).notes.insert(0, f"best {metric}")
    dated = [row for row in rows if row.epoch is not None]
    if dated:
        dated[-1].notes.insert(0, "latest")


def main_metric(rows: list[Row]) -> str | None:
    """The metric most checkpoints carry; a running best says nothing of the file it stands in."""
    counts = Counter(
        n for row in rows for n, v in row.metrics.items() if math.isfinite(v) and not n.startswith("best")
    )
    if not counts:
        return None
    often = [n for n, c in counts.items() if c == max(counts.values())]
    return names.default_metric(often)


def recommend(rows: list[Row]) -> str:
    bad = [row for row in rows if row.finite is False]
    good = [
        row for row in rows if row.finite is not False and row.parameters and "another model" not in row.notes
    ]
    if not good:
        return "no usable checkpoint: nothing here is both readable and finite"
    best = next((row for row in good if any(n.startswith("best ") for n in row.notes)), good[-1])
    latest = good[-1]
    words = [f"use {best.file}"]
    if best is not latest:
        words.append(
            f"resume from {latest.file}" if not bad else f"resume from {best.file}, not from anything later"
        )
    if bad:
        words.append(
            f"{len(bad)} of {len(rows)} hold non-finite numbers, first {bad[0].file}: they are of no use"
        )
    return "; ".join(words)


def trends(rows: list[Row]) -> list[str]:
    """One line a metric: from the first checkpoint to the last, and its best."""
    lines = []
    usable = [row for row in rows if row.epoch is not None and "another model" not in row.notes]
    for name in dict.fromkeys(n for row in usable for n in row.metrics):
        points = [
            (row.epoch, row.metrics[name]) for row in usable if math.isfinite(row.metrics.get(name, math.nan))
        ]
        if len(points) > 1:
            pick = max if names.mode(name) == "max" else min
            epoch, value = pick(points, key=lambda p: p[1])
            (e0, v0), (e1, v1) = points[0], points[-1]
            lines.append(f"{name}: {v0:.4g} at epoch {e0}, best {value:.4g} at {epoch}, {v1:.4g} at {e1}")
    return lines
