"""Drawing a run: the monitored metric, the losses and the learning rate over one epoch axis."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from shared.record.duration import duration
from shared.runs.reading import names
from shared.runs.reading.restarts import find_restarts
from shared.runs.reading.runlog import RunLog, best_index

INK, MUTED, GRID = "#1f2430", "#6b7280", "#e5e7eb"
BLUE, ORANGE, RED, GREEN = "#2563eb", "#f59e0b", "#dc2626", "#059669"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw(figure: Figure, run: RunLog) -> None:
    """Three panels over one epoch axis, with the verdict on top."""
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2.4, 1.5])
    figure.subplots_adjust(0.09, 0.06, 0.97, 0.92, hspace=0.1)
    metric = names.default_metric(list(run.columns))
    if run.metric_names():
        metric, _ = run.metric()
    figure.suptitle(_title(run), x=0.018, y=0.988, ha="left", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.018, 0.955, _subtitle(run, metric), fontsize=9.5, color=MUTED)
    _draw_metric(panels[0], run, metric)
    _draw_losses(panels[1], run, metric)
    _draw_lr(panels[2], run)
    for panel in panels:
        _mark_restarts(panel, run, labelled=panel is panels[0])
        _mark_events(panel, run, labelled=panel is panels[0])
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="best", ncols=2)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    span = max(1, run.epochs[-1] - run.epochs[0])
    panels[-1].set_xlim(run.epochs[0] - 0.03 * span - 0.02, run.epochs[-1] + 0.04 * span + 0.02)


def _title(run: RunLog) -> str:
    project = run.summary.get("project") or run.name
    status = str(run.summary.get("status", "")).replace("_", " ")
    return f"{project} · {status}" if status else str(project)


def _subtitle(run: RunLog, metric: str | None) -> str:
    """One line: best, last, epochs, hours, speed, whatever of them is known."""
    parts = []
    if metric is not None:
        values = run.columns[metric]
        best = best_index(values, run.mode(metric))
        if best is not None:
            last = values[np.isfinite(values)][-1]
            parts.append(
                f"{metric} best {_show(metric, values[best])} at epoch {math.ceil(run.epochs[best])}"
            )
            parts.append(f"last {_show(metric, last)}")
    epochs = (
        math.ceil(run.epochs[-1] - run.epochs[0] + 1) if run.epochs[0] >= 1 else math.ceil(run.epochs[-1])
    )
    parts.append(f"{epochs} epoch{'s' * (epochs != 1)}")
    seconds, speed = run.summary.get("seconds"), run.summary.get("samples_per_second")
    if isinstance(seconds, (int, float)):
        parts.append(duration(seconds))
    if isinstance(speed, (int, float)):
        parts.append(f"{speed:,.0f} samples/s")
    return "   ·   ".join(parts)


def _show(metric: str, value: float) -> str:
    return f"{100 * value:.2f} %" if names.is_rate(metric) else f"{value:.4g}"


def _line(panel, run: RunLog, name: str, **style) -> None:
    """A column as a line with its gaps closed; dots where epochs are few; a cross where it turned NaN."""
    values = run.columns[name]
    known = np.isfinite(values)
    marker = "o" if known.sum() <= 40 else None
    panel.plot(run.epochs[known], values[known], marker=marker, markersize=3.5, label=name, **style)
    if name in run.first_bad:
        panel.axvline(run.first_bad[name], color=RED, lw=1)
        panel.annotate(
            f"{name} non-finite", (run.first_bad[name], 0.03), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", color=RED, fontsize=8.5,
        )  # fmt: skip


def _draw_metric(panel, run: RunLog, metric: str | None) -> None:
    if metric is None:
        panel.text(0.5, 0.5, "no metric was logged", transform=panel.transAxes, ha="center", color=MUTED)
        return
    twin = metric.replace("val/", "train/", 1)
    if twin != metric and twin in run.columns:
        _line(panel, run, twin, color=ORANGE, lw=1.3, alpha=0.9)
    _line(panel, run, metric, color=BLUE, lw=2)
    panel.set_ylabel(metric)
    if names.is_rate(metric):
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    best = best_index(run.columns[metric], run.mode(metric))
    if best is not None:
        point = (run.epochs[best], run.columns[metric][best])
        panel.plot(*point, "*", color=GREEN, markersize=15, markeredgecolor="white", zorder=5)
        below = run.mode(metric) == "max"
        panel.annotate(
            f"best {_show(metric, point[1])}\nepoch {math.ceil(point[0])}",
            point, xytext=(-6, -10 if below else 10),
            textcoords="offset points", ha="right", va="top" if below else "bottom", color=GREEN, fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1},
        )  # fmt: skip


def _draw_losses(panel, run: RunLog, metric: str | None) -> None:
    losses = [n for n in run.metric_names() if names.kind(n) == "loss" and n != metric]
    colours = {True: BLUE, False: ORANGE}
    for name in sorted(losses, key=lambda n: (n not in ("train/loss", "val/loss"), n))[:4]:
        within = name.startswith("step/")  # means over a few steps: the unrest behind the epochs' means
        _line(
            panel,
            run,
            name,
            color=colours[names.held_out(name)],
            lw=0.8 if within else 1.6,
            alpha=0.5 if within else 1,
        )
    panel.set_ylabel("loss")
    finite = np.concatenate([run.columns[n][np.isfinite(run.columns[n])] for n in losses] or [np.empty(0)])
    if finite.size and finite.min() > 0 and finite.max() / finite.min() > 50:
        panel.set_yscale("log")
    if not losses:
        panel.text(0.5, 0.5, "no loss was logged", transform=panel.transAxes, ha="center", color=MUTED)


def _draw_lr(panel, run: RunLog) -> None:
    panel.set_ylabel("learning rate")
    lr = run.lr
    if lr is None or not np.isfinite(lr).any():
        panel.text(
            0.5, 0.5, "no learning rate was logged", transform=panel.transAxes, ha="center", color=MUTED
        )
        return
    known = np.isfinite(lr)
    panel.plot(
        run.epochs[known], lr[known], color=INK, lw=1.6, marker="o" if known.sum() <= 40 else None, ms=3
    )
    positive = lr[known & (lr > 0)]
    if positive.size and positive.max() / positive.min() > 20:
        panel.set_yscale("log")
        panel.set_ylim(max(positive.min() / 2, positive.max() * 1e-5), positive.max() * 2)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _mark_restarts(panel, run: RunLog, labelled: bool) -> None:
    for epoch, ratio in _restarts(run)[:12]:
        place = epoch - (0.5 if np.all(run.epochs % 1 == 0) else 1)  # the epoch before it ends at epoch - 1
        panel.axvline(place, color=RED, lw=1, ls=(0, (4, 3)), alpha=0.8)
        if labelled:
            _annotate(panel, place, 0.14, f"LR restart ×{ratio:.3g}\nepoch {epoch}", RED)


def _restarts(run: RunLog) -> list[tuple[int, float]]:
    """Epoch and ratio of each restart: as the run itself recorded them, else read off its learning rates."""
    recorded = run.summary.get("restarts")
    if isinstance(recorded, list) and recorded:
        return [(each["epoch"], each["ratio"] or math.inf) for each in recorded]
    return (
        [(each.epoch, each.ratio) for each in find_restarts(run.epochs, run.lr)] if run.lr is not None else []
    )


def _mark_events(panel, run: RunLog, labelled: bool) -> None:
    events = [
        e for e in run.summary.get("events") or [] if isinstance(e, dict) and e.get("epoch") is not None
    ]
    for row, event in enumerate(events[:12]):
        text = str(event.get("name") or event.get("kind") or event.get("message") or "event").replace(
            "_", " "
        )
        if "restart" in text.lower():
            continue
        panel.axvline(event["epoch"], color=MUTED, lw=1, ls=":")
        if labelled:
            _annotate(panel, event["epoch"], 0.72 - 0.08 * (row % 5), text[:32], MUTED)


def _annotate(panel, epoch: float, height: float, text: str, colour: str) -> None:
    panel.annotate(
        text, (epoch, height), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
        ha="right", va="top", color=colour, fontsize=8.5,
    )  # fmt: skip
