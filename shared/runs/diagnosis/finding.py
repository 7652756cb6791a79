"""One thing found, and the verdict over all of them."""

from dataclasses import dataclass, field

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """`code` is stable, for programs; `message` says it, `evidence` proves it, `command` is what to do next."""

    code: str
    severity: str
    message: str
    epoch: int | None = None
    file: str | None = None
    evidence: list[str] = field(default_factory=list)
    command: str | None = None


def rank(findings: list[Finding]) -> list[Finding]:
    """Worst first; within a severity in the order found."""
    return sorted(findings, key=lambda f: -SEVERITIES.index(f.severity))


def verdict(findings: list[Finding]) -> str:
    """One line: the worst finding, and how many more there are."""
    alarming = [f for f in rank(findings) if f.severity != "info"]
    if not alarming:
        return "healthy" + (f" ({len(findings)} remarks)" if findings else ": nothing found")
    more = f" (and {len(alarming) - 1} more)" if len(alarming) > 1 else ""
    return alarming[0].message + more


def exit_code(findings: list[Finding]) -> int:
    """2 for non-finite numbers, 1 for any other warning, 0 for none."""
    if any(f.code == "non_finite" for f in findings):
        return 2
    return int(any(f.severity != "info" for f in findings))
