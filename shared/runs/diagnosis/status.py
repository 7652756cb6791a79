"""What a run says of itself, before anybody looks at its curves: how it ended, why, and what it skipped."""

from pathlib import Path
from typing import Any

from shared.runs.diagnosis.finding import Finding
from shared.runs.reading.folder import is_run_folder, mapping, read_events

SKIPPED, ROLLED_BACK = "non_finite_skip", "non_finite_rollback"


def own_words(folder: Path) -> list[Finding]:
    """Findings from the summary and the events of one of our run folders; none for other files and folders."""
    if not is_run_folder(folder):
        return []
    return [*_ended(folder, mapping(folder / "summary.json", [])), *_skipped(folder, read_events(folder))]


def _ended(folder: Path, summary: dict[str, Any]) -> list[Finding]:
    status, error = summary.get("status"), str(summary.get("error") or "no reason was written down")
    if status == "failed":
        message, command = f"the run failed: {error}", f"tail {folder / 'train.log'}"
        return [Finding("run_failed", "error", message, None, str(folder), [], command)]
    if status == "stopped_non_finite":
        message = "the run stopped itself: its numbers were not finite, and going back had not helped"
        command = f"python scripts/checkpoints.py {folder}"
        return [Finding("run_stopped", "error", message, summary.get("epochs"), str(folder), [], command)]
    if status == "interrupted":
        message = f"the run was interrupted ({error}): the same command goes on from where it was"
        return [Finding("run_interrupted", "info", message, summary.get("epochs"), str(folder), [], None)]
    if not summary and not (folder / "metrics.csv").is_file():
        message = "the run has begun and has logged nothing so far: it is running, or it was killed in its first epoch"
        return [
            Finding(
                "run_without_rows", "info", message, None, str(folder), [], f"tail {folder / 'train.log'}"
            )
        ]
    return []


def _skipped(folder: Path, events: list[dict[str, Any]]) -> list[Finding]:
    skips = [str(event.get("message")) for event in events if event.get("kind") == SKIPPED]
    rolled = sum(event.get("kind") == ROLLED_BACK for event in events)
    if not skips:
        return []
    message = f"steps that were skipped because a number in them was not finite: {len(skips)}"
    evidence = skips[:3]
    evidence += [f"{rolled} times the run went back to its last good state"] if rolled else []
    kept = sorted((folder / "nonfinite").glob("*.pt"))
    command = f"python scripts/diagnose.py replay {kept[0]}" if kept else None
    return [Finding("steps_skipped", "info", message, None, str(folder), evidence, command)]
