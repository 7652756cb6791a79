"""The end of a sweep (`-m`): one table over its jobs and a picture, on the console and in the sweep's folder."""

import csv
import gc
import json
import logging
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

log = logging.getLogger(__name__)

COLUMNS = ("job", "overrides", "status", "epochs", "best", "best_epoch", "seconds", "why")
WIDTH = 160  # where nobody looks through a window
PLACE = ("run_dir=", "sweep=")  # overrides that say where a job is, not what it is
_failed = 0


def exit_code() -> int:
    """1 if a job of the sweep that has just ended did not end by itself, else 0; asked once."""
    global _failed
    failed, _failed = _failed, 0
    return 1 if failed else 0


def job_failed() -> None:
    """Count a job whose folder does not say so: it holds the result of an earlier attempt."""
    global _failed
    _failed += 1


class SweepTable(Callback):
    """Hydra callback: reads each job's summary.json and ranks the jobs by their monitored metric."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _failed
        _failed = 0

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        gc.collect()  # a trainer and its callbacks hold each other: hundreds of MB that the next job would add to

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        global _failed
        folder = Path(config.hydra.sweep.dir)
        rows = read_jobs(folder)
        _failed += sum(each["status"] in ("failed", "interrupted") for each in rows)
        with (folder / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, (*COLUMNS, "monitor", "mode"), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        show(rows)
        draw(folder, rows)
        print(f"sweep: {folder}", flush=True)


def read_jobs(folder: Path) -> list[dict[str, Any]]:
    """The rows of a sweep's finished jobs, the best first."""
    return sorted((row(path.parent) for path in folder.glob("*/summary.json")), key=rank)


def row(folder: Path) -> dict[str, Any]:
    """One job's line: what was set, how it ended and why, the best value of the monitored metric."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    monitor, settings = summary.get("monitor") or {}, overrides(folder, summary)
    return {
        "job": folder.name,
        "overrides": " ".join(settings),
        "settings": settings,
        "status": summary["status"],
        "epochs": summary.get("epochs", 0),
        "best": monitor.get("best"),
        "best_epoch": monitor.get("best_epoch"),
        "seconds": summary["seconds"],
        "why": summary.get("error") or pruned(summary) or "",
        "monitor": monitor.get("name"),
        "mode": monitor.get("mode"),
    }


def overrides(folder: Path, summary: dict[str, Any]) -> list[str]:
    """What was set for this job; one that died before it had begun has it in its summary alone."""
    path = folder / ".hydra" / "overrides.yaml"
    found = summary.get("overrides") or (OmegaConf.load(path) if path.exists() else [])
    return [each for each in found if not each.startswith(PLACE)]


def pruned(summary: dict[str, Any]) -> str | None:
    """Why the job was given up as hopeless beside the others, if it was."""
    events = [each for each in summary.get("events", []) if each["kind"] in ("pruned", "forecast_stop")]
    return events[-1]["message"] if events else None


def rank(row: dict[str, Any]) -> float:
    """Best first; jobs without a result last."""
    if row["best"] is None:
        return float("inf")
    return -row["best"] if row["mode"] == "max" else row["best"]


def show(rows: list[dict[str, Any]]) -> None:
    """The table for a person: of each job's settings only those that not all jobs share."""
    names = {each["monitor"] for each in rows if each["monitor"]}
    shared = set.intersection(*(set(each["settings"]) for each in rows)) if len(rows) > 1 else set()
    table = Table(title=f"sweep: best {', '.join(sorted(names))}")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for each in rows:
        best = f"{each['best']:.4f}" if each["best"] is not None else "-"
        own = " ".join(word for word in each["settings"] if word not in shared)
        cells = each | {"overrides": own, "best": best}
        table.add_row(*(str(cells[column]) for column in COLUMNS))
    console = Console()
    console.width = console.width if console.is_terminal else WIDTH
    console.print(table)


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The picture of the sweep; a sweep is not lost for want of it."""
    try:
        from shared.sweeps.picture import write_picture

        if path := write_picture(folder, rows):
            log.info("picture: %s", path)
    except Exception:
        log.warning("no picture of this sweep", exc_info=True)
