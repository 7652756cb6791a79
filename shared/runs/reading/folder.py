"""Our own run folders: metrics.csv, summary.json and config.yaml."""

import json
from pathlib import Path

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

from shared.errors import UserError
from shared.runs.reading.runlog import RunLog, by_epoch
from shared.runs.reading.table import read_csv

MAX_TEXT = 20_000_000


def read_folder(run_dir: Path) -> RunLog:
    """A run folder as a RunLog; a missing or broken summary or config costs a warning, not the run."""
    metrics = run_dir / "metrics.csv"
    if not metrics.is_file():
        raise UserError(
            "no metrics.csv in the run folder", str(run_dir), "give the folder printed as `run: …`"
        )
    run = by_epoch(read_csv(metrics), run_dir.resolve().name, run_dir)
    run.summary = mapping(run_dir / "summary.json", run.warnings)
    run.config = mapping(run_dir / "config.yaml", run.warnings)
    # The file grows while the run goes on; the summary holds what it was at the end of a session.
    run.summary["events"] = read_events(run_dir)
    return run


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is one of our runs, begun or ended."""
    summary = mapping(folder / "summary.json", [])
    return folder.is_dir() and ((folder / "run_id").is_file() or {"project", "status"} <= summary.keys())


def read_events(run_dir: Path) -> list[dict]:
    """Events so far, or those of the summary; a line cut off by a crash is left out."""
    return _events(run_dir / "events.jsonl") or mapping(run_dir / "summary.json", []).get("events") or []


def _events(path: Path) -> list[dict]:
    if not path.is_file() or path.stat().st_size > MAX_TEXT:
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [event for event in found if isinstance(event, dict)]


def mapping(path: Path, warnings: list[str]) -> dict:
    """A small JSON or YAML file as a dict; {} with a warning when it cannot be read."""
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_TEXT:
            raise ValueError("far too large")
        text = path.read_text(encoding="utf-8", errors="replace")
        value = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=SafeLoader)
    except (ValueError, OSError, RecursionError, yaml.YAMLError) as error:
        warnings.append(f"{path.name} is unreadable ({str(error).splitlines()[0]}): going on without it")
        return {}
    return value if isinstance(value, dict) else {}
