"""The parts of a run's page."""

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.runs import names
from shared.runs.chart import Band, Chart, Line
from shared.runs.configs import differences, flat
from shared.runs.restarts import find_restarts
from shared.runs.runlog import RunLog, best_index

if TYPE_CHECKING:
    from shared.runs.forecast.forecast import Forecast

MAX_PICTURE, MAX_PICTURES = 3_000_000, 12


def one_run(run: RunLog, forecast: "Forecast | None") -> str:
    metric = run.metric()[0] if run.metric_names() else None
    status = str(run.summary.get("status", "")).replace("_", " ")
    about = " · ".join(part for part in (str(run.summary.get("project", "")), status, str(run.path)) if part)
    parts = [
        f"<h1>{html.escape(run.name)}</h1><p class=sub>{html.escape(about)}</p>",
        _cards(run, metric, forecast),
    ]
    parts.append(
        f'<h2>Curves</h2><div class="charts">{"".join(c.figure() for c in charts(run, metric, forecast))}</div>'
    )
    if forecast is not None:
        parts.append(_forecast(forecast))
    parts += [_findings(run), _pictures(run.path), _reproduce(run), _config(run)]
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


def shower(metric: str):
    return (lambda v: f"{100 * v:.4g} %") if names.is_rate(metric) else "{:.4g}".format


def charts(run: RunLog, metric: str | None, forecast: "Forecast | None") -> list[Chart]:
    marks = (
        []
        if run.lr is None
        else [(r.epoch, f"restart ×{r.ratio:.3g}") for r in find_restarts(run.epochs, run.lr)]
    )
    events = [(e, words) for e, words in _events(run) if "restart" not in words]
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
        found.append(Chart(metric, lines, shower(metric), bands, marks, events))
    losses = [
        n for n in run.metric_names() if names.kind(n) == "loss" and n != metric and not n.startswith("step/")
    ][:4]
    lines = [Line(n, run.epochs, run.columns[n], c) for c, n in enumerate(losses)]
    found.append(Chart("loss", lines, "{:.4g}".format, [], marks, events, _wide(lines)))
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


def _events(run: RunLog) -> list[tuple[float, str]]:
    events = run.summary.get("events")
    found = [e for e in events if isinstance(e, dict)] if isinstance(events, list) else []
    return [
        (e["epoch"], str(e.get("kind", "event")).replace("_", " "))
        for e in found
        if isinstance(e.get("epoch"), int)
    ]


def _cards(run: RunLog, metric: str | None, forecast: "Forecast | None") -> str:
    cards = [("epochs", str(run.epochs[-1]))]
    if metric is not None and (best := best_index(run.columns[metric], run.mode(metric))) is not None:
        show = shower(metric)
        cards.insert(0, (f"best {metric}, epoch {run.epochs[best]}", show(run.columns[metric][best])))
        cards.insert(1, ("last", show(run.columns[metric][np.isfinite(run.columns[metric])][-1])))
    if forecast is not None:
        cards.append((f"forecast for epoch {forecast.epochs[-1]}", shower(metric)(forecast.median[-1])))
        if forecast.target:
            words = f"chance of {shower(metric)(forecast.target['value'])}"
            cards.append((words, f"{forecast.target['probability']:.0%}"))
    facts = (("seconds", "time", lambda v: f"{v / 3600:.1f} h" if v > 5400 else f"{v / 60:.1f} min"),
             ("samples_per_second", "samples a second", "{:,.0f}".format),
             ("parameters", "parameters", "{:,}".format), ("seed", "seed", str))  # fmt: skip
    for key, words, show_fact in facts:
        if isinstance(value := run.summary.get(key), (int, float)):
            cards.append((words, show_fact(value)))
    inner = "".join(
        f'<div class="card"><span>{html.escape(k)}</span><b>{html.escape(v)}</b></div>' for k, v in cards
    )
    return f'<div class="cards">{inner}</div>'


def _forecast(made: "Forecast") -> str:
    from shared.runs.forecast.words import headlines, milestones, what_ifs

    said = "".join(f"<p>{html.escape(line)}</p>" for line in headlines(made))
    tables = "".join(
        f'<div class="tight">{grid(rows[0], rows[1:])}</div>'
        for rows in (milestones(made), what_ifs(made))
        if len(rows) > 1
    )
    doubts = "".join(f"<li>{html.escape(doubt)}</li>" for doubt in made.warnings)
    return f"<h2>Forecast</h2>{said}{tables}<ul class=sub>{doubts}</ul>"


def _findings(run: RunLog) -> str:
    from shared.runs.diagnosis.diagnose import check_run
    from shared.runs.diagnosis.finding import rank, verdict

    findings = rank(check_run(run))
    items = "".join(
        f'<li class="{f.severity}"><b>{html.escape(f.code)}</b> {html.escape(f.message)}'
        + "".join(f"<br><span class=sub>{html.escape(e)}</span>" for e in f.evidence)
        + "</li>"
        for f in findings
    )
    notes = "".join(f"<li>{html.escape(w)}</li>" for w in run.warnings)
    events = "".join(f"<li>epoch {e}: {html.escape(words)}</li>" for e, words in _events(run)[:40])
    return (
        f"<h2>Diagnosis</h2><p>{html.escape(verdict(findings))}</p><ul>{items}</ul>"
        + (f"<h2>Events</h2><ul>{events}</ul>" if events else "")
        + (f"<details><summary>How the log was read</summary><ul>{notes}</ul></details>" if notes else "")
    )


def _pictures(folder: Path) -> str:
    """PNGs that the project made (confusion, samples), embedded; its own report.png is not shown twice."""
    if not folder.is_dir():
        return ""
    files = [
        p
        for p in sorted(folder.glob("*.png")) + sorted(folder.glob("pictures/*.png"))
        if p.name != "report.png"
    ]
    files = [p for p in files if p.is_file() and p.stat().st_size <= MAX_PICTURE][:MAX_PICTURES]
    inner = "".join(
        f"<figure><figcaption>{html.escape(p.stem)}</figcaption>"
        f'<img alt="{html.escape(p.stem)}" src="{_embedded(p)}"></figure>'
        for p in files
    )
    return f'<h2>Pictures</h2><div class="charts">{inner}</div>' if files else ""


def _embedded(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


def _reproduce(run: RunLog) -> str:
    project, commit = run.summary.get("project"), run.summary.get("git_commit")
    lines = []
    if commit:
        dirty = "   # and tracked files had been changed since" if "+" in str(commit) else ""
        lines.append(f"git checkout {str(commit).partition('+')[0]}{dirty}")
    if project:
        lines.append(f"python projects/{project}/train.py --config-dir {run.path} --config-name config")
    versions = run.summary.get("versions")
    rows = [[str(k), str(v)] for k, v in versions.items()] if isinstance(versions, dict) else []
    made = f"<h2>Reproduce</h2><pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""
    return made + (f"<h2>Environment</h2>{grid(['package', 'version'], rows)}" if rows else "")


def _config(run: RunLog) -> str:
    rows = [[key, value] for key, value in flat(run.config).items()][:500]
    return (
        f"<h2>Config</h2><details><summary>{len(rows)} keys</summary>{grid(['key', 'value'], rows)}</details>"
        if rows
        else ""
    )


def grid(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
