"""What of a checkpoint folder can go: a plan first, and never the last good file."""

from dataclasses import dataclass

from shared.runs.checkpoints.row import CheckpointTable, Row, disk_bytes


@dataclass(frozen=True)
class Prune:
    """`delete` with a reason each, `keep` with one too; `freed` counts bytes on disk, hard links once."""

    delete: list[tuple[Row, str]]
    keep: list[tuple[Row, str]]

    @property
    def freed(self) -> int:
        kept = disk_bytes([row for row, _ in self.keep])
        return sum(
            size for file, size in disk_bytes([row for row, _ in self.delete]).items() if file not in kept
        )


def plan(table: CheckpointTable, every: int | None = None) -> Prune:
    """Keep the best, the newest good one, `last`/`best` by name and each `every`-th epoch; the rest can go.

    Nothing goes while no good checkpoint is known, and a file that is not understood stays.
    """
    good = [row for row in table.rows if row.finite and row.parameters and "another model" not in row.notes]
    keep, delete = [], []
    for row in table.rows:
        reason = _reason_to_keep(row, good, every)
        if reason:
            keep.append((row, reason))
        else:
            delete.append(
                (row, "non-finite" if row.finite is False else "neither best, newest nor milestone")
            )
    return (
        Prune(delete, keep)
        if good
        else Prune([], [(row, "no good checkpoint to fall back on") for row in table.rows])
    )


def _reason_to_keep(row: Row, good: list[Row], every: int | None) -> str | None:
    if row.finite is None or not row.parameters:
        return "not understood"
    if "another model" in row.notes:
        return "another model: someone else's"
    if any(note.startswith("best ") for note in row.notes):
        return "best"
    if row.finite and row is good[-1]:
        return "newest good one"
    if row.finite and row.path.stem.startswith(("best", "last", "cycle", "milestone", "previous")):
        return "kept by its name"
    if row.finite and every and row.epoch and row.epoch % every == 0:
        return f"every {every} epochs"
    return None


def carry_out(prune: Prune) -> int:
    """Delete what the plan says; returns how many files went. Links and files outside are never followed."""
    gone = 0
    for row, _ in prune.delete:
        if row.path.is_file() and not row.path.is_symlink():
            row.path.unlink()
            gone += 1
    return gone
