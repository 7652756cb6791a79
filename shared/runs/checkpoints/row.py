"""One checkpoint's line in the table, and the table."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One checkpoint. `finite` is None for a file that cannot be read; `same` names a file of equal content."""

    file: str
    path: Path
    bytes: int
    epoch: int | None = None
    parameters: int | None = None
    finite: bool | None = None
    lr: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    sha256: str = ""
    notes: list[str] = field(default_factory=list)
    layout: int = 0


@dataclass
class CheckpointTable:
    folder: Path
    rows: list[Row]
    recommendation: str = ""
    trends: list[str] = field(default_factory=list)


def disk_bytes(rows: list[Row]) -> dict[tuple[int, int], int]:
    """Bytes by file on disk: several names of one file (hard links) are one entry."""
    stats = [row.path.stat() for row in rows]
    return {(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}
