"""A picture of a forecast: the past, the bands to come, restarts, the target, and the learning rate below."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from shared.errors import UserError
from shared.files import replaced
from shared.runs.forecast.result import Forecast
from shared.runs.forecast.words import show
from shared.runs.pages.picture import BLUE, GREEN, INK, MUTED, RED, STYLE
from shared.runs.reading import names

BANDS = ((0.025, 0.975, 0.12, "95 %"), (0.1, 0.9, 0.2, "80 %"), (0.25, 0.75, 0.3, "50 %"))


def save(made: Forecast, target: Path) -> None:
    """Write the picture as .png or .svg, or the run's whole page with the forecast in it as .html."""
    kind = target.suffix.lstrip(".").lower()
    if kind == "html":
        from shared.runs.pages.page import write_page

        write_page([made.run], target, {made.run.name: made})
        return
    if kind not in ("png", "svg"):
        raise UserError(f"cannot draw a .{kind}", "--out", "name a .png, .svg or .html file")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 6.4), facecolor="white")
        draw(figure, made)
        with replaced(target) as temporary:
            figure.savefig(temporary, format=kind, dpi=110)


def draw(figure: Figure, made: Forecast) -> None:
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    figure.subplots_adjust(0.09, 0.08, 0.97, 0.88, hspace=0.1)
    metric, q = made.metric, made.quantiles
    end = f"{show(metric, made.median[-1])} at epoch {made.epochs[-1]}"
    figure.suptitle(
        f"{made.run.name}: {metric} heads for {end}", x=0.018, ha="left", fontweight="bold", color=INK
    )
    figure.text(0.018, 0.92, _subtitle(made), fontsize=9.5, color=MUTED)
    past = np.arange(1, made.last_epoch + 1)
    known = np.isfinite(made.history)
    marker = "o" if known.sum() < 60 else None
    top.plot(past[known], made.history[known], color=INK, lw=1.8, marker=marker, ms=3.5, label="measured")
    # the bands start at the last measured point, so that past and future join
    x = np.concatenate([past[known][-1:], made.epochs])
    joined = {level: np.concatenate([made.history[known][-1:], values]) for level, values in q.items()}
    for low, high, alpha, label in BANDS:
        top.fill_between(x, joined[low], joined[high], color=BLUE, alpha=alpha, lw=0, label=label)
    top.plot(x, joined[0.5], color=BLUE, lw=2, label="forecast")
    if made.target:
        top.axhline(made.target["value"], color=GREEN, lw=1.2, ls="--")
        top.annotate(f"target, {made.target['probability']:.0%}", (0.01, made.target["value"]),
                     xycoords=("axes fraction", "data"), xytext=(0, 4), textcoords="offset points",
                     color=GREEN, fontsize=9)  # fmt: skip
    for restart in made.restarts:
        for panel in (top, below):
            panel.axvline(restart["epoch"], color=RED, lw=1, ls=(0, (4, 3)))
        text = f"restart ×{restart['lr_ratio']:.3g}\n→ {show(metric, restart['after_median'])}"
        top.annotate(text, (restart["epoch"], 0.02), xycoords=("data", "axes fraction"), xytext=(5, 0),
                     textcoords="offset points", color=RED, fontsize=8.5)  # fmt: skip
    top.set_ylabel(metric)
    if names.is_rate(metric):
        top.yaxis.set_major_formatter(PercentFormatter(1.0))
    top.legend(loc="best", ncols=2)
    _draw_lr(below, made)


def _subtitle(made: Forecast) -> str:
    low, high = made.quantiles[0.1][-1], made.quantiles[0.9][-1]
    band = f"80 % between {show(made.metric, low)} and {show(made.metric, high)}"
    return f"{band}   ·   best so far {show(made.metric, made.best)} at epoch {made.best_epoch}   ·   {made.plan}"


def _draw_lr(panel, made: Forecast) -> None:
    epochs = np.arange(1, len(made.lr) + 1)
    panel.plot(epochs[: made.last_epoch], made.lr[: made.last_epoch], color=INK, lw=1.5)
    panel.plot(epochs[made.last_epoch - 1 :], made.lr[made.last_epoch - 1 :], color=BLUE, lw=1.5, ls="--")
    positive = made.lr[made.lr > 0]
    if positive.size and positive.max() / positive.min() > 20:
        panel.set_yscale("log")
        panel.set_ylim(max(positive.min() / 2, positive.max() * 1e-5), positive.max() * 2)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_ylabel("learning rate")
    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
