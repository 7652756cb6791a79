"""Any run from its files: ours, Lightning's, timm's, TensorBoard's, W&B's, a CSV, a text log."""

import os
from collections.abc import Iterator
from pathlib import Path

from shared.errors import UserError
from shared.runs.reading.folder import is_run_folder, mapping, read_folder
from shared.runs.reading.runlog import RunLog, by_epoch
from shared.runs.reading.table import read_csv
from shared.runs.reading.textlog import read_text
from shared.runs.reading.wire import read_events

CSV_NAMES = ("metrics.csv", "summary.csv", "results.csv", "log.csv", "history.csv")
CONFIG_NAMES = ("config.yaml", "hparams.yaml", "args.yaml", ".hydra/config.yaml")
TEXT_NAMES = ("train.log", "log.txt", "training.log")
LOGS = (
    lambda file: file.name in CSV_NAMES,
    lambda file: "tfevents" in file.name,
    lambda file: file.suffix == ".wandb",
    lambda file: file.name in TEXT_NAMES,
    lambda file: file.suffix == ".log",
)  # in order of preference
MAX_ENTRIES, MAX_DEPTH = 20_000, 3


def read_run(path: Path | str, pattern: str | None = None) -> RunLog:
    """Read a run from a folder or a file.

    Errors: UserError when there is nothing to read, with what was looked for.
    """
    path = Path(path)
    if not path.exists():
        raise UserError("no such file or folder", str(path), "check the path")
    if path.is_dir():
        return _read_directory(path, pattern)
    return _read_file(path, pattern)


def _read_file(path: Path, pattern: str | None) -> RunLog:
    name = (
        path.stem if path.stem not in ("metrics", "summary", "log", "train") else path.resolve().parent.name
    )
    if not path.is_file():
        raise UserError("not a regular file", str(path), "give a log file or a run folder")
    if path.stat().st_size == 0:
        raise UserError("the file is empty", str(path), "wait for the first epoch to finish")
    if path.suffix == ".csv" or path.suffix == ".tsv":
        table = read_csv(path)
    elif path.suffix == ".wandb" or "tfevents" in path.name:
        table = read_events([path])
    else:
        table = read_text(path, pattern)
    return by_epoch(table, name, path)


def _read_directory(folder: Path, pattern: str | None) -> RunLog:
    if is_run_folder(folder) and not (folder / "metrics.csv").is_file():
        status = mapping(folder / "summary.json", []).get("status", "is running, or was killed,")
        mend = f"{folder / 'train.log'} tells what happened; metrics come with the first logged steps"
        raise UserError(f"the run {status} before its first metrics", str(folder), mend)
    source = _source(folder)
    if source is None:
        looked = ", ".join((*CSV_NAMES, "events.out.tfevents.*", "*.wandb", *TEXT_NAMES))
        raise UserError(
            "no training log in the folder", str(folder), f"give the log itself; looked for {looked}"
        )
    if (source.parent / "metrics.csv").is_file():
        run = read_folder(source.parent)
    elif "tfevents" in source.name:
        run = by_epoch(read_events(list(source.parent.glob("*tfevents*"))), folder.resolve().name, folder)
    else:
        run = _read_file(source, pattern)
    if source.parent != folder:
        run.warnings.insert(0, f"read {source.relative_to(folder)}, the newest log in the folder")
    for config in CONFIG_NAMES:
        run.config = run.config or mapping(source.parent / config, run.warnings)
    run.path = folder
    return run


def _source(folder: Path) -> Path | None:
    """The folder's log: by name in the folder itself, else the newest one further down."""
    files = list(walk(folder))
    for depth in (1, 99):
        near = [f for f in files if len(f.relative_to(folder).parts) <= depth]
        for is_log in LOGS:
            found = [f for f in near if is_log(f)]
            if found:
                return max(found, key=lambda f: f.stat().st_mtime)
        csvs = [f for f in near if f.suffix == ".csv"]
        if len(csvs) == 1:
            return csvs[0]
    return None


def walk(folder: Path) -> Iterator[Path]:
    """Regular files of a tree, a few levels deep, never through a link to a folder, never without end."""
    seen = 0
    for root, below, files in os.walk(folder, followlinks=False):
        if len(Path(root).relative_to(folder).parts) >= MAX_DEPTH:
            below.clear()
        below[:] = sorted(d for d in below if not d.startswith(".") and d != "__pycache__")
        for name in sorted(files):
            seen += 1
            if seen > MAX_ENTRIES:
                return
            file = Path(root) / name
            if file.is_file():
                yield file
