"""Our own run folders: metrics.csv, summary.json and config.yaml."""

import json
from pathlib import Path

import yaml

from shared.errors import UserError
from shared.runs.runlog import RunLog, by_epoch
from shared.runs.table import read_csv

MAX_TEXT = 20_000_000


def read_folder(run_dir: Path) -> RunLog:
    """A run folder as a RunLog; a missing or broken summary or config costs a warning, not the run."""
    metrics = run_dir / "metrics.csv"
    if not metrics.is_file():
        raise UserError(
            "no metrics.csv in the run folder", str(run_dir), "give the folder printed as `run: …`"
        )
    run = by_epoch(read_csv(metrics), run_dir.resolve().name, run_dir)
    run.summary = _mapping(run_dir / "summary.json", json.loads, run.warnings)
    run.config = _mapping(run_dir / "config.yaml", yaml.safe_load, run.warnings)
    return run


def _mapping(path: Path, parse, warnings: list[str]) -> dict:
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_TEXT:
            raise ValueError("far too large")
        value = parse(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, OSError, RecursionError, yaml.YAMLError) as error:
        warnings.append(f"{path.name} is unreadable ({str(error).splitlines()[0]}): going on without it")
        return {}
    return value if isinstance(value, dict) else {}
