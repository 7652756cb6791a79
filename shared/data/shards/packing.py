"""Packs a data set into tar shards: in parallel, going on where it was stopped, every byte read back."""

import hashlib
import json
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from shared.data.draws import keyed_generator
from shared.data.shards.index import ABOUT, Index, pack_names, parse_about, write
from shared.data.shards.reader import Shards
from shared.data.shards.stores import sha256
from shared.data.shards.writer import Job, Read, Recipe, Sample, pack_shard
from shared.errors import UserError

Progress = Callable[[int, int], None]


def pack(
    samples: Sequence[Sample],
    out: Path,
    recipe: Recipe,
    read: Read,
    jobs: int,
    max_corrupt: int = 10,
    progress: Progress = lambda done, planned: None,
) -> dict[str, Any]:
    """Write the shards that are not there yet; returns what shards.json says.

    `progress` is told of the shards that are whole. Raises UserError if `out` holds other shards, or if more than
    `max_corrupt` files could not be read.
    """
    mark = fingerprint(samples, recipe)
    if (out / ABOUT).exists():
        about = parse_about((out / ABOUT).read_bytes(), str(out / ABOUT))
        refuse_others(about, mark, out)
        return about
    everything = plan(samples, out, recipe, read, mark)
    todo = [job for job in everything if not is_whole(job)]
    progress(len(everything) - len(todo), len(everything))
    try:
        out.mkdir(parents=True, exist_ok=True)
        run(todo, jobs, lambda done: progress(len(everything) - len(todo) + done, len(everything)))
        return finish(samples, out, recipe, max_corrupt)
    except OSError as error:
        mend = "make room, then run it again: finished shards are kept"
        raise UserError(f"cannot write: {error.strerror or error}", str(out), mend) from error


def fingerprint(samples: Sequence[Sample], recipe: Recipe) -> str:
    total = hashlib.sha256(json.dumps(asdict(recipe)).encode())
    for sample in samples:
        total.update(f"{sample.name}\t{sample.label}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def refuse_others(found: dict[str, Any], mark: str, out: Path) -> None:
    if found.get("fingerprint") != mark:
        raise UserError("holds shards of other samples or settings", str(out), "choose another folder")


def plan(samples: Sequence[Sample], out: Path, recipe: Recipe, read: Read, mark: str) -> list[Job]:
    """All shards to write."""
    if not samples:
        raise UserError("no samples", str(out), "point at a data set")
    order = keyed_generator(0, "shards").permutation(len(samples))
    labels = {label: number for number, label in enumerate(label_list(samples))}
    parts = [order[start : start + recipe.per_shard] for start in range(0, len(order), recipe.per_shard)]
    return [
        Job(out / f"shard-{n:06d}.tar", recipe, mark, [(int(i), samples[i]) for i in part], labels, read)
        for n, part in enumerate(parts)
    ]


def label_list(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.label for sample in samples})


def is_whole(job: Job) -> bool:
    """Whether this shard needs no more work; UserError if it is one of another recipe."""
    try:
        found = json.loads(job.path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return False
    refuse_others(found, job.fingerprint, job.path.parent)
    return job.path.exists()


def run(todo: list[Job], jobs: int, progress: Callable[[int], None]) -> None:
    """Pack in `jobs` processes; after a failure they end the shards under way and begin no others."""
    with ProcessPoolExecutor(jobs, initializer=ignore_interrupts) as pool:
        try:
            futures = [pool.submit(pack_shard, job) for job in todo]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress(done)
        except BrokenProcessPool as error:
            mend = "use fewer and run it again: finished shards are kept"
            raise UserError("a packing process was killed, perhaps for memory", "--jobs", mend) from error
        finally:
            pool.shutdown(cancel_futures=True)  # what is under way ends first: nothing writes behind our back


def ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer


def finish(samples: Sequence[Sample], out: Path, recipe: Recipe, max_corrupt: int) -> dict[str, Any]:
    """Write the index of all shards and put their lists away."""
    lists = sorted(out.glob("shard-*.json"))
    parts = [json.loads(path.read_bytes()) for path in lists]
    left_out = [each for part in parts for each in part["left_out"]]
    if len(left_out) > max_corrupt or len(left_out) == len(samples):
        what = f"{len(left_out)} files cannot be read, such as {left_out[0][1]}"
        mend = "repair or delete them and choose another folder, or allow more"
        raise UserError(what, "--max-corrupt", mend)
    rows = np.array([[n, *row] for n, part in enumerate(parts) for row in part["rows"]], np.int64)
    rows = rows[np.argsort(rows[:, 1])]
    types = (np.int32, np.int64, np.int32, np.uint32, np.int32)
    columns = [rows[:, column].astype(kind) for column, kind in zip((0, 2, 3, 4, 5), types, strict=True)]
    about = {
        **asdict(recipe),
        "fingerprint": parts[0]["fingerprint"],
        "left_out": left_out,
        "odd": [
            each for part in parts for each in part.get("odd", [])
        ],  # lists of an earlier version have none
        "labels": label_list(samples),
        "shards": [part["shard"] for part in parts],
    }
    about = write(out, Index(*columns, *pack_names([samples[number].name for number in rows[:, 1]])), about)
    for path in lists:
        path.unlink()
    return about


def verify(folder: Path) -> list[str]:
    """What is wrong with a packed split: checksums of its shards, and of every sample where the index says."""
    shards = Shards(folder)
    paths = [(folder / facts["name"], facts["sha256"]) for facts in shards.about["shards"]]
    missing = [f"{path} is missing" for path, _ in paths if not path.exists()]
    odd = [
        f"{path}: its checksum differs" for path, wanted in paths if path.exists() and sha256(path) != wanted
    ]
    if missing or odd:
        return missing + odd
    return [problem for row in range(len(shards)) if (problem := unreadable(shards, row))]


def unreadable(shards: Shards, row: int) -> str | None:
    try:
        return None if shards.intact(row, shards.read(row)) else f"{shards.name(row)}: differs"
    except OSError as error:
        return f"{shards.name(row)}: {error}"
