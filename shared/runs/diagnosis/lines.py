"""What a text log gives away by itself: every line twice."""

from pathlib import Path

from shared.runs.diagnosis.finding import Finding
from shared.runs.reading.textlog import lines


def duplicate_lines(path: Path) -> list[Finding]:
    """Messages printed twice in a row, which two handlers on one logger do."""
    previous, twice, total = None, 0, 0
    for line in lines(path, []):
        text = line.strip()
        if not text:
            continue
        total += 1
        twice += text == previous
        previous = None if text == previous else text
    if total < 8 or twice < 0.3 * total:
        return []
    message = f"{twice} of {total} log lines stand there twice"
    evidence = ["two handlers print the same message: one on the logger, one on its parent"]
    command = "logger.propagate = False, or remove the logger's own handler"
    return [Finding("duplicate_log_lines", "warning", message, None, str(path), evidence, command)]
