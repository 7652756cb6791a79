"""What is in a folder of videos, and what is wrong with it, before anything is trained on it."""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from projects.video_lstm.videos.decode import Index, opened, read_clip, scan
from projects.video_lstm.videos.splits import is_video, read_splits, shared_sources, videos
from shared.data.folder import find_files
from shared.errors import ImageError

SHOWN = 20  # examples named of each problem
FEW_FRAMES = 16


class Facts(NamedTuple):
    """A video as it was found; `error` says why it cannot be read, and then the rest is empty."""

    path: str
    digest: str
    error: str = ""
    container: str = ""
    codec: str = ""
    size: tuple[int, int] = (0, 0)
    frames: int = 0
    seconds: float = 0.0
    missing: int = 0
    variable_rate: bool = False
    rotation: int = 0


def look(path: str) -> Facts:
    """Scan a video and decode a few of its frames."""
    digest = ""
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        index = scan(path)
        read_clip(path, 4, 16)
        return inspect(path, digest, index)
    except (ImageError, OSError) as error:
        return Facts(path, digest, str(error).removeprefix(f"{path}: "))


def inspect(path: str, digest: str, index: Index) -> Facts:
    with opened(path) as (container, stream):
        context, frame = stream.codec_context, next(container.decode(stream), None)
        gaps = np.diff(index.times)
        base = float(stream.time_base or 0) if index.exact else 1 / float(stream.average_rate or 25)
        return Facts(
            path,
            digest,
            container=container.format.name,
            codec=context.name,
            size=(context.width, context.height),
            frames=len(index.times),
            seconds=round(float(np.ptp(index.times)) * base, 3),
            missing=max(0, stream.frames - index.packets),
            variable_rate=bool(len(gaps) and gaps.max() > 1.5 * np.median(gaps)),
            rotation=int(frame.rotation) if frame else 0,
        )


def audit(root: Path, split: int) -> dict[str, Any]:
    """Look at every video of both splits; counts and examples of each problem and of what is merely odd."""
    sides = {
        name: found.paths for name, found in zip(("train", "val"), read_splits(root, split), strict=True)
    }
    facts = {name: [look(path) for path in paths] for name, paths in sides.items()}
    every = facts["train"] + facts["val"]
    good = [fact for fact in every if not fact.error]
    problems = {
        "unreadable": [f"{fact.path}: {fact.error}" for fact in every if fact.error],
        "cut_short": [f"{fact.path}: {fact.missing} frames are missing" for fact in good if fact.missing],
        "same_content": same_content(every),
        "source_in_both_splits": shared_sources(sides["train"], sides["val"]),
    }
    odd = {
        f"fewer_than_{FEW_FRAMES}_frames": [fact.path for fact in good if fact.frames < FEW_FRAMES],
        "variable_frame_rate": [fact.path for fact in good if fact.variable_rate],
        "turned": [f"{fact.path}: {fact.rotation} degrees" for fact in good if fact.rotation],
        "odd_size": [
            f"{fact.path}: {fact.size[0]} x {fact.size[1]}" for fact in good if any(s % 2 for s in fact.size)
        ],
        "suffix_of_another_container": [fact.path for fact in good if misnamed(fact)],
        "not_taken_for_videos": others(root),
    }
    return {
        "videos": {name: len(found) for name, found in facts.items()},
        "codecs": dict(Counter(fact.codec for fact in good)),
        "sizes": {f"{w} x {h}": n for (w, h), n in Counter(fact.size for fact in good).most_common(10)},
        "seconds": percentiles([fact.seconds for fact in good]),
        "frames": percentiles([fact.frames for fact in good]),
        "problems": {name: len(found) for name, found in problems.items()},
        "odd": {name: len(found) for name, found in odd.items()},
        "examples": {name: found[:SHOWN] for name, found in (problems | odd).items() if found},
    }


def same_content(facts: list[Facts]) -> list[str]:
    by_digest = defaultdict(list)
    for fact in facts:
        by_digest[fact.digest or fact.path].append(fact.path)
    return [" = ".join(paths) for paths in by_digest.values() if len(paths) > 1]


def misnamed(fact: Facts) -> bool:
    """Whether an AVI is called .mp4 or the like; the reader looks at the content and does not mind."""
    groups = {".mp4": "mp4", ".mov": "mov", ".m4v": "mov", ".avi": "avi", ".mkv": "matroska", ".webm": "webm"}
    wanted = groups.get(Path(fact.path).suffix.lower())
    return wanted is not None and wanted not in fact.container.split(",")


def others(root: Path) -> list[str]:
    """Files beside videos that no suffix marks as such."""
    folders = {str(path.parent) for path in videos(root)}
    return [
        path
        for path in find_files(root, lambda name: not is_video(name))
        if str(Path(path).parent) in folders
    ]


def percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    points = np.percentile(values, (0, 50, 100)).round(3).tolist()
    return dict(zip(("least", "median", "most"), points, strict=True))
