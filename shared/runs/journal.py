"""The ledger as a research journal: Markdown, a section a day, a paragraph a run."""

import datetime
from collections import defaultdict
from pathlib import Path
from typing import Any

from shared.record.duration import duration
from shared.runs.reading import names

Entry = dict[str, Any]


def journal(entries: list[Entry]) -> str:
    """Markdown of all entries, the days in order, a run under the day it started."""
    if not entries:
        return "The ledger is empty: runs write to it when they start and end."
    ends = {entry.get("run"): entry for entry in entries if entry["kind"] == "end"}
    started = {entry.get("run") for entry in entries if entry["kind"] == "start"}
    days: dict[str, list[str]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: e["time"]):
        day, clock = _when(entry["time"])
        if entry["kind"] == "note":
            days[day].append(f"- {clock} {entry.get('text', '')}")
        elif entry["kind"] == "start":
            days[day].append(_run(clock, entry, ends.get(entry.get("run"))))
        elif entry["kind"] == "end" and entry.get("run") not in started:
            days[day].append(_run(clock, entry, entry))
    return "\n\n".join(f"## {day}\n\n" + "\n".join(parts) for day, parts in days.items())


def _when(seconds: float) -> tuple[str, str]:
    moment = datetime.datetime.fromtimestamp(seconds).astimezone()
    return moment.strftime("%Y-%m-%d"), moment.strftime("%H:%M")


def _run(clock: str, start: Entry, end: Entry | None) -> str:
    run = Path(str(start.get("run", "")))
    lines = [f"- {clock} **{start.get('project')}** [{run.name}]({run}): {_result(end)}"]
    if start.get("note"):
        lines.append(f"  - question: {start['note']}")
    changes = [c for c in start.get("changes") or [] if isinstance(c, dict)]
    if changes:
        parent = Path(str(start.get("parent"))).name
        shown = ", ".join(f"`{c['key']}` {c['before']} → {c['after']}" for c in changes[:8])
        more = f" and {len(changes) - 8} more" if len(changes) > 8 else ""
        lines.append(f"  - against {parent}: {shown}{more}")
    commit = start.get("commit")
    if commit:
        dirty = ", with uncommitted changes" if "+" in str(commit) else ""
        lines.append(f"  - commit {str(commit)[:10].partition('+')[0]}{dirty}")
    if run.is_dir():
        pages = [name for name in ("report.html", "report.png") if (run / name).is_file()]
        lines += [f"  - [{name}]({run / name})" for name in pages]
    return "\n".join(lines)


def _result(end: Entry | None) -> str:
    if end is None:
        return "no end was recorded: still running, or killed"
    words = [str(end.get("status") or "ended").replace("_", " ")]
    monitor = end.get("monitor")
    if isinstance(monitor, dict) and isinstance(monitor.get("best"), (int, float)):
        name, best = str(monitor.get("name")), monitor["best"]
        shown = f"{100 * best:.2f} %" if names.is_rate(name) else f"{best:.4g}"
        words.append(f"best {name} {shown} at epoch {monitor.get('best_epoch')}")
    if end.get("epochs"):
        words.append(f"{end['epochs']} epochs")
    if isinstance(end.get("seconds"), (int, float)):
        words.append(duration(end["seconds"]))
    return ", ".join(words)


def since(entries: list[Entry], date: datetime.date | None) -> list[Entry]:
    """Entries from the start of a day, local time."""
    if date is None:
        return entries
    start = datetime.datetime.combine(date, datetime.time()).astimezone().timestamp()
    return [entry for entry in entries if entry["time"] >= start]
