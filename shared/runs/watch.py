"""What running trainings look like right now, from their files alone."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shared.errors import UserError
from shared.record.duration import duration
from shared.runs.forecast.forecast import forecast
from shared.runs.forecast.plan import make_plan, planned_epochs
from shared.runs.forecast.result import Forecast, Request
from shared.runs.reading import names
from shared.runs.reading.readers import read_run
from shared.runs.reading.restarts import find_restarts
from shared.runs.reading.runlog import RunLog, best_index

SPARKS = "▁▂▃▄▅▆▇█"
QUIET = 600  # seconds without a new row after which a run is called quiet


@dataclass
class Watched:
    """One run's state: the last full reading, and the forecast of its last epoch."""

    path: Path
    run: RunLog | None = None
    forecast: Forecast | None = None
    trouble: str = ""
    forecast_epoch: int = field(default=0)

    def read(self, with_forecast: bool = True) -> None:
        """Read the files again; a file caught half-written costs this look, not the watch."""
        try:
            self.run = read_run(self.path)
            self.trouble = ""
        except UserError as error:
            self.trouble = error.what
            return
        last = int(self.run.epochs[-1])
        if with_forecast and last != self.forecast_epoch and not self.run.summary.get("status"):
            self.forecast_epoch = last
            try:
                self.forecast = forecast(self.run, Request(), what_ifs=False)
            except UserError:
                self.forecast = None


def newest_runs(root: Path, count: int = 4) -> list[Path]:
    """The run folders below `root` that were written to last."""
    found = sorted(root.glob("*/*/metrics.csv"), key=lambda f: f.stat().st_mtime, reverse=True)
    if not found:
        raise UserError("no run to watch", str(root), "start one, or name a run folder")
    return [file.parent for file in found[:count]]


def state(watched: Watched) -> dict:
    """Progress, metric, LR, next restart, forecast and events as plain values."""
    run = watched.run
    if run is None:
        return {"run": str(watched.path), "trouble": watched.trouble}
    last = int(run.epochs[-1])
    found: dict = {"run": str(watched.path), "status": run.summary.get("status") or _liveness(watched.path)}
    found |= {"epoch": last, "epochs": planned_epochs(run) or last, "metric": None, "lr": None}
    if run.metric_names():
        metric, values = run.metric()
        best = best_index(values, run.mode(metric))
        if best is not None:
            known = values[np.isfinite(values)]
            found |= {"metric": metric, "last": float(known[-1]), "best": float(values[best])}
            found["best_epoch"] = int(run.epochs[best])
    if run.lr is not None and np.isfinite(run.lr).any():
        found["lr"] = float(run.lr[np.isfinite(run.lr)][-1])
        plan = make_plan(run, None, None, None)
        ahead = find_restarts(np.arange(1, plan.until + 1), plan.lr)
        found["next_restart"] = next((r.epoch for r in ahead if r.epoch > last), None)
    if watched.forecast is not None:
        q = watched.forecast.quantiles
        found["forecast"] = {"epoch": int(watched.forecast.epochs[-1]), "median": float(q[0.5][-1]),
                             "p10": float(q[0.1][-1]), "p90": float(q[0.9][-1])}  # fmt: skip
    events = run.summary.get("events") or []
    found["events"] = [f"epoch {e.get('epoch')}: {e.get('message') or e.get('kind')}" for e in events[-3:]]
    return found


def _liveness(path: Path) -> str:
    """`running`, or since when nothing was written."""
    files = (
        [path] if path.is_file() else [f for f in (path / "metrics.csv", path / "train.log") if f.exists()]
    )
    silent = time.time() - max((f.stat().st_mtime for f in files), default=time.time())
    return "running" if silent < QUIET else f"quiet for {duration(silent)}"


def panel(watched: Watched) -> Panel:
    """The state as a box for the terminal."""
    found = state(watched)
    if watched.run is None:
        return Panel(Text(found["trouble"]), title=watched.path.name)
    body = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(found["epochs"], 1), completed=found["epoch"], width=30)
    body.add_row("epoch", Group(Text(f"{found['epoch']} of {found['epochs']}  {found['status']}"), bar))
    if found["metric"]:
        show = _shower(found["metric"])
        spark = sparkline(watched.run.columns[found["metric"]])
        body.add_row(
            found["metric"],
            f"{show(found['last'])}   best {show(found['best'])} at {found['best_epoch']}  {spark}",
        )
    if found["lr"] is not None:
        restart = f"   restart at epoch {found['next_restart']}" if found.get("next_restart") else ""
        body.add_row("lr", f"{found['lr']:.4g}{restart}")
    if "forecast" in found:
        f, show = found["forecast"], _shower(watched.forecast.metric)
        body.add_row(
            "forecast",
            f"{show(f['median'])} at epoch {f['epoch']}, 80 % {show(f['p10'])} to {show(f['p90'])}",
        )
    for event in found["events"]:
        body.add_row("event", Text(event))
    return Panel(body, title=watched.run.name, title_align="left")


def sparkline(values: np.ndarray, width: int = 24) -> str:
    """The curve in one line of block characters."""
    known = values[np.isfinite(values)][-width:]
    if not len(known):
        return ""
    low, span = known.min(), np.ptp(known) or 1.0
    return "".join(SPARKS[int((v - low) / span * (len(SPARKS) - 1))] for v in known)


def _shower(metric: str):
    return (lambda v: f"{100 * v:.2f} %") if names.is_rate(metric) else "{:.4g}".format
