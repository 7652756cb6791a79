"""The parts of a run's page beside its curves: numbers, diagnosis, pictures, how to get there again."""

import base64
import html
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from shared.record.duration import duration
from shared.runs.diagnosis.diagnose import check_run
from shared.runs.diagnosis.finding import rank, verdict
from shared.runs.reading import names
from shared.runs.reading.configs import flat
from shared.runs.reading.runlog import RunLog, best_index

if TYPE_CHECKING:
    from shared.runs.forecast.result import Forecast

MAX_PICTURE, MAX_PICTURES = 3_000_000, 12


def shower(metric: str):
    """How a value of this metric is written: rates in percent."""
    return (lambda v: f"{100 * v:.4g} %") if names.is_rate(metric) else "{:.4g}".format


def grid(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def event_marks(run: RunLog) -> list[tuple[float, str]]:
    events = run.summary.get("events")
    found = [e for e in events if isinstance(e, dict)] if isinstance(events, list) else []
    return [
        (e["epoch"], str(e.get("kind", "event")).replace("_", " "))
        for e in found
        if isinstance(e.get("epoch"), int)
    ]


def cards(run: RunLog, metric: str | None, forecast: "Forecast | None") -> str:
    found = [("epochs", str(run.epochs[-1]))]
    if metric is not None and (best := best_index(run.columns[metric], run.mode(metric))) is not None:
        show = shower(metric)
        found.insert(0, (f"best {metric}, epoch {run.epochs[best]}", show(run.columns[metric][best])))
        found.insert(1, ("last", show(run.columns[metric][np.isfinite(run.columns[metric])][-1])))
    if forecast is not None:
        found.append((f"forecast for epoch {forecast.epochs[-1]}", shower(metric)(forecast.median[-1])))
        if forecast.target:
            words = f"chance of {shower(metric)(forecast.target['value'])}"
            found.append((words, f"{forecast.target['probability']:.0%}"))
    facts = (("seconds", "time", duration),
             ("samples_per_second", "samples a second", "{:,.0f}".format),
             ("parameters", "parameters", "{:,}".format), ("seed", "seed", str))  # fmt: skip
    for key, words, show_fact in facts:
        if isinstance(value := run.summary.get(key), (int, float)):
            found.append((words, show_fact(value)))
    inner = "".join(
        f'<div class="card"><span>{html.escape(k)}</span><b>{html.escape(v)}</b></div>' for k, v in found
    )
    return f'<div class="cards">{inner}</div>'


def forecast_words(made: "Forecast") -> str:
    from shared.runs.forecast.words import headlines, milestones, what_ifs

    said = "".join(f"<p>{html.escape(line)}</p>" for line in headlines(made))
    tables = "".join(
        f'<div class="tight">{grid(rows[0], rows[1:])}</div>'
        for rows in (milestones(made), what_ifs(made))
        if len(rows) > 1
    )
    doubts = "".join(f"<li>{html.escape(doubt)}</li>" for doubt in made.warnings)
    return f"<h2>Forecast</h2>{said}{tables}<ul class=sub>{doubts}</ul>"


def findings(run: RunLog) -> str:
    findings = rank(check_run(run))
    items = "".join(
        f'<li class="{f.severity}"><b>{html.escape(f.code)}</b> {html.escape(f.message)}'
        + "".join(f"<br><span class=sub>{html.escape(e)}</span>" for e in f.evidence)
        + "</li>"
        for f in findings
    )
    notes = "".join(f"<li>{html.escape(w)}</li>" for w in run.warnings)
    marks = "".join(f"<li>epoch {e}: {html.escape(words)}</li>" for e, words in event_marks(run)[:40])
    return (
        f"<h2>Diagnosis</h2><p>{html.escape(verdict(findings))}</p><ul>{items}</ul>"
        + (f"<h2>Events</h2><ul>{marks}</ul>" if marks else "")
        + (f"<details><summary>How the log was read</summary><ul>{notes}</ul></details>" if notes else "")
    )


def pictures(folder: Path) -> str:
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


def reproduce(run: RunLog) -> str:
    project, commit = run.summary.get("project"), run.summary.get("git_commit")
    lines = []
    if commit:
        dirty = "   # and tracked files had been changed since" if "+" in str(commit) else ""
        lines.append(f"git checkout {str(commit).partition('+')[0]}{dirty}")
    if project:
        lines.append(" ".join([f"python projects/{project}/train.py", *_overrides(run.path)]))
    versions = run.summary.get("versions")
    rows = [[str(k), str(v)] for k, v in versions.items()] if isinstance(versions, dict) else []
    made = f"<h2>Reproduce</h2><pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""
    return made + (f"<h2>Environment</h2>{grid(['package', 'version'], rows)}" if rows else "")


def _overrides(folder: Path) -> list[str]:
    """What was given on the command line, as Hydra kept it; quoted for the shell."""
    file = folder / ".hydra" / "overrides.yaml"
    if not file.is_file():
        return []
    given = yaml.safe_load(file.read_text(encoding="utf-8")[:100_000])
    kept = (
        [str(word) for word in given if not str(word).startswith("run_dir=")]
        if isinstance(given, list)
        else []
    )
    return [shlex.quote(word) for word in kept]


def config(run: RunLog) -> str:
    rows = [[key, value] for key, value in flat(run.config).items()][:500]
    return (
        f"<h2>Config</h2><details><summary>{len(rows)} keys</summary>{grid(['key', 'value'], rows)}</details>"
        if rows
        else ""
    )
