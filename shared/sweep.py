"""The end of a sweep (`-m`): one table over its jobs, on the console and in the sweep's folder."""

import csv
import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

COLUMNS = ("job", "overrides", "status", "epochs", "best", "best_epoch", "seconds")
_failed = 0


def exit_code() -> int:
    """1 if a job of the sweep that has just ended failed, else 0; asked once."""
    global _failed
    failed, _failed = _failed, 0
    return 1 if failed else 0


class SweepTable(Callback):
    """Hydra callback: reads each job's summary.json and ranks the jobs by their monitored metric."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        global _failed
        folder = Path(config.hydra.sweep.dir)
        rows = sorted((row(path.parent) for path in folder.glob("*/summary.json")), key=rank)
        _failed = sum(each["status"] == "failed" for each in rows)
        with (folder / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, (*COLUMNS, "monitor", "mode"))
            writer.writeheader()
            writer.writerows(rows)
        show(rows)
        print(f"sweep: {folder}", flush=True)


def row(folder: Path) -> dict[str, Any]:
    """One job's line: what was set, how it ended, the best value of the monitored metric."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    overrides = folder / ".hydra" / "overrides.yaml"
    monitor = summary.get("monitor") or {}
    return {
        "job": folder.name,
        "overrides": " ".join(OmegaConf.load(overrides)) if overrides.exists() else "",
        "status": summary["status"],
        "epochs": summary.get("epochs", 0),
        "best": monitor.get("best"),
        "best_epoch": monitor.get("best_epoch"),
        "seconds": summary["seconds"],
        "monitor": monitor.get("name"),
        "mode": monitor.get("mode"),
    }


def rank(row: dict[str, Any]) -> float:
    """Best first; jobs without a result last."""
    if row["best"] is None:
        return float("inf")
    return -row["best"] if row["mode"] == "max" else row["best"]


def show(rows: list[dict[str, Any]]) -> None:
    names = {each["monitor"] for each in rows if each["monitor"]}
    table = Table(title=f"sweep: best {', '.join(sorted(names))}")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for each in rows:
        best = f"{each['best']:.4f}" if each["best"] is not None else "-"
        table.add_row(*(best if column == "best" else str(each[column]) for column in COLUMNS))
    Console().print(table)
