"""What stands on a page: one run with its curves, or several side by side."""

import html
from typing import TYPE_CHECKING

import numpy as np

from shared.runs.pages.chart import Band, Chart, Line
from shared.runs.pages.facts import (
    cards,
    config,
    event_marks,
    findings,
    forecast_words,
    grid,
    pictures,
    reproduce,
    shower,
)
from shared.runs.reading import names
from shared.runs.reading.configs import differences
from shared.runs.reading.restarts import find_restarts
from shared.runs.reading.runlog import RunLog, best_index

if TYPE_CHECKING:
    from shared.runs.forecast.result import Forecast


def one_run(run: RunLog, forecast: "Forecast | None") -> str:
    metric = run.metric()[0] if run.metric_names() else None
    status = str(run.summary.get("status", "")).replace("_", " ")
    about = " · ".join(part for part in (str(run.summary.get("project", "")), status, str(run.path)) if part)
    parts = [
        f"<h1>{html.escape(run.name)}</h1><p class=sub>{html.escape(about)}</p>",
        cards(run, metric, forecast),
    ]
    parts.append(
        f'<h2>Curves</h2><div class="charts">{"".join(c.figure() for c in charts(run, metric, forecast))}</div>'
    )
    if forecast is not None:
        parts.append(forecast_words(forecast))
    parts += [findings(run), pictures(run.path), reproduce(run), config(run)]
    return "".join(parts)


def comparison(runs: list[RunLog]) -> str:
    """The same metric of every run in one chart, their bests in a table, and where their configs differ."""
    metric = runs[0].metric()[0]
    lines = [
        Line(run.name, run.epochs, run.columns[metric], n)
        for n, run in enumerate(runs)
        if metric in run.columns
    ]
    rates = [Line(run.name, run.epochs, run.lr, n) for n, run in enumerate(runs) if run.lr is not None]
    figures = [
        Chart(metric, lines, shower(metric)),
        Chart("learning rate", rates, "{:.3g}".format, logarithmic=_wide(rates)),
    ]
    rows = []
    for run in runs:
        values = run.columns.get(metric, np.array([np.nan]))
        best = best_index(values, run.mode(metric))
        shown = ("-", "-") if best is None else (shower(metric)(values[best]), str(run.epochs[best]))
        rows.append([run.name, *shown, str(run.epochs[-1]), str(run.summary.get("status", ""))])
    parts = [f"<h1>{len(runs)} runs</h1><p class=sub>{html.escape(', '.join(run.name for run in runs))}</p>"]
    parts.append(f'<div class="charts">{"".join(chart.figure() for chart in figures)}</div>')
    parts.append("<h2>Results</h2>" + grid(["run", f"best {metric}", "at epoch", "epochs", "status"], rows))
    differing = differences([run.config for run in runs])
    if differing:
        parts.append("<h2>Config differences</h2>" + grid(["key", *(run.name for run in runs)], differing))
    return "".join(parts)


def charts(run: RunLog, metric: str | None, forecast: "Forecast | None") -> list[Chart]:
    marks = (
        []
        if run.lr is None
        else [(r.epoch, f"restart ×{r.ratio:.3g}") for r in find_restarts(run.epochs, run.lr)]
    )
    happened = [(e, words) for e, words in event_marks(run) if "restart" not in words]
    found = []
    if metric is not None:
        twin = metric.replace("val/", "train/", 1)
        pair = [twin] if twin != metric and twin in run.columns else []
        lines = [Line(n, run.epochs, run.columns[n], c) for c, n in enumerate([metric, *pair])]
        bands = []
        if forecast is not None:
            x, q = forecast.epochs, forecast.quantiles
            lines.append(Line("forecast, 50/80/95 %", x, q[0.5], 0, ahead=True))
            bands = [Band(x, q[low], q[high]) for low, high in ((0.025, 0.975), (0.1, 0.9), (0.25, 0.75))]
            marks += [
                (r["epoch"], "restart ahead") for r in forecast.restarts if r["epoch"] > forecast.last_epoch
            ]
        found.append(Chart(metric, lines, shower(metric), bands, marks, happened))
    marks = [(at, "") for at, _ in marks]  # words once, in the first chart
    happened = [(at, "") for at, _ in happened]
    losses = [
        n for n in run.metric_names() if names.kind(n) == "loss" and n != metric and not n.startswith("step/")
    ][:4]
    lines = [Line(n, run.epochs, run.columns[n], c) for c, n in enumerate(losses)]
    found.append(Chart("loss", lines, "{:.4g}".format, [], marks, happened, _wide(lines)))
    others = [n for n in run.metric_names() if names.held_out(n) and names.kind(n) != "loss" and n != metric]
    if others:
        lines = [Line(n, run.epochs, run.columns[n], c) for c, n in enumerate(others[:4])]
        found.append(Chart("other metrics", lines, "{:.4g}".format, [], marks, happened))
    if run.lr is not None:
        rate = [Line("learning rate", run.epochs, run.lr)]
        found.append(Chart("learning rate", rate, "{:.3g}".format, [], marks, [], _wide(rate)))
    speed = [n for n in run.columns if "per_second" in n or "throughput" in n]
    if speed:
        lines = [Line(n, run.epochs, run.columns[n], c) for c, n in enumerate(speed[:3])]
        found.append(Chart("throughput", lines, "{:.0f}".format))
    return found


def _wide(lines: list[Line]) -> bool:
    """Whether the values span so much that only a logarithmic axis shows them."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines] or [np.empty(0)])
    return bool(
        values.size and values.min() >= 0 and values.max() > 20 * max(values.min(), values.max() * 1e-9)
    )
