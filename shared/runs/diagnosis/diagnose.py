"""Everything that can be found out about a run, a checkpoint, a folder or a log."""

from pathlib import Path

from shared.checkpoints.foreign import is_checkpoint
from shared.errors import UserError
from shared.runs.diagnosis import curves, learning
from shared.runs.diagnosis.finding import Finding, exit_code, rank, verdict
from shared.runs.diagnosis.generalising import generalising
from shared.runs.diagnosis.lines import duplicate_lines
from shared.runs.diagnosis.smells import smells
from shared.runs.diagnosis.status import own_words
from shared.runs.diagnosis.weights import check_weights, read_rows, run_of
from shared.runs.reading.readers import TEXT_NAMES, read_run
from shared.runs.reading.runlog import RunLog

CHECKS = (
    curves.non_finite, curves.restarts, curves.frozen, curves.flat_zero, curves.throughput, learning.overfitting,
    learning.confidence, learning.plateau, learning.trivial, generalising, smells,
)  # fmt: skip


def diagnose(path: Path, pattern: str | None = None) -> list[Finding]:
    """Findings, worst first. UserError when there is neither a log nor a checkpoint to look at."""
    if not path.exists():
        raise UserError("no such file or folder", str(path), "check the path")
    if is_checkpoint(path):
        return rank(check_weights(read_rows(path)))
    said = own_words(path)
    looks = [lambda: check_run(_run(path, pattern)), lambda: _logs(path)]
    if path.is_dir():
        looks.append(lambda: check_weights(read_rows(path)))
    findings = list(said)
    failures: list[UserError] = []
    for look in looks:
        try:
            findings += look()
        except UserError as error:
            failures.append(error)
    if failures and (len(failures) == len(looks) or not findings):
        unread = [failure for failure in failures if not str(failure).startswith("no text log")]
        if not said and (len(failures) == len(looks) or (path.is_file() and unread)):
            raise failures[0]
    return rank(findings)


def _run(path: Path, pattern: str | None) -> RunLog:
    """The run by its log or, where a folder has none, by what its checkpoints remember."""
    try:
        return read_run(path, pattern)
    except UserError:
        if not path.is_dir():
            raise
        return run_of(read_rows(path), path)


def check_run(run: RunLog) -> list[Finding]:
    """Findings on a run's metrics and config alone."""
    if not run.metric_names():
        return smells(run)
    return [finding for check in CHECKS for finding in check(run)]


def _logs(path: Path) -> list[Finding]:
    inside = [path / name for name in TEXT_NAMES if (path / name).is_file()]
    files = [path] if path.is_file() and path.suffix in (".log", ".txt") else inside
    if not files:
        raise UserError("no text log", str(path), "give the log file")
    return [finding for file in files for finding in duplicate_lines(file)]


def as_json(findings: list[Finding]) -> dict:
    return {
        "verdict": verdict(findings),
        "exit_code": exit_code(findings),
        "findings": [vars(f) for f in findings],
    }


def as_text(findings: list[Finding]) -> str:
    """Verdict, then each finding with where, what proves it, and what to do next."""
    out = [f"verdict: {verdict(findings)}"]
    for finding in findings:
        where = ", ".join(
            part
            for part in (finding.file, f"epoch {finding.epoch}" if finding.epoch is not None else None)
            if part
        )
        out += ["", f"[{finding.severity}] {finding.code}: {finding.message}"]
        out += [f"  where: {where}"] if where else []
        out += [f"  - {line}" for line in finding.evidence]
        out += [f"  next: {finding.command}"] if finding.command else []
    return "\n".join(out)
