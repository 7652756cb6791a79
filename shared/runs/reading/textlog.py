"""Numbers out of plain text: `key: value` lines as people print them, JSON lines, or one's own pattern."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from shared.errors import UserError
from shared.runs.reading.table import Table
from shared.runs.reading.wire import table_of

MAX_LINES = 2_000_000
MAX_LINE = 4_000
NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)"
_EPOCH = re.compile(r"\bepochs?\W{0,3}(\d+)(?:\s*/\s*\d+)?", re.I)
_PAIR = re.compile(
    r"([A-Za-z_][\w/@.-]{0,40}(?: [A-Za-z_][\w/@.-]{0,20}){0,2})"
    rf"\s?[:=]\s?({NUMBER})(\s?%)?(?![\w:.-])",
    re.I,
)


def read_text(path: Path, pattern: str | None = None) -> Table:
    """Every number with a name, by the epoch it was printed under.

    `pattern`: a regular expression with named groups, `(?P<epoch>...)` among them, searched in each line.
    Errors: UserError for a pattern that is none, and for a file without any named number.
    """
    warnings: list[str] = []
    read = _pattern_rows(pattern) if pattern else _line_rows
    rows = list(_rows(path, read, warnings))
    if not rows:
        raise UserError(
            "no named numbers in the text", str(path), "give --pattern with named groups: (?P<epoch>…)"
        )
    return table_of(rows, warnings)


def lines(path: Path, warnings: list[str]) -> Iterator[str]:
    """The file's lines, cut to a sane length and number; a redrawn progress bar counts by its last state."""
    raw = path.open("rb").read(2)
    encoding = "utf-16" if raw in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="\n") as file:
        for number, line in enumerate(iter(lambda: file.readline(1_000_000), "")):
            if number == MAX_LINES:
                warnings.append(f"only the first {MAX_LINES:,} lines were read")
                return
            yield line.rstrip("\r\n").rpartition("\r")[2][:MAX_LINE]


def _rows(path: Path, read, warnings: list[str]) -> Iterator[dict[str, float]]:
    epoch = None
    previous = None
    for line in lines(path, warnings):
        if line == previous:  # two handlers on one message
            continue
        previous = line
        row = read(line)
        if row is None:
            continue
        epoch = row.pop("epoch", epoch)
        if row:
            yield row if epoch is None else {**row, "epoch": epoch}


def _pattern_rows(pattern: str):
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"not a regular expression ({error})", "--pattern", "quote it in the shell"
        ) from error

    def read(line: str) -> dict[str, float] | None:
        found = compiled.search(line)
        return {k: _value(v, False) for k, v in found.groupdict().items() if v} if found else None

    return read


def _line_rows(line: str) -> dict[str, float] | None:
    if line.lstrip().startswith("{"):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            return None
        numbers = {k: v for k, v in data.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        return {("val/" + k[5:] if k.startswith("test_") else k): float(v) for k, v in numbers.items()}
    row = {}
    epoch = _EPOCH.search(line)
    if epoch:
        row["epoch"] = float(epoch[1])
        line = line[: epoch.start()] + " " + line[epoch.end() :]
    for name, number, percent in _PAIR.findall(line):
        row[_name(name)] = _value(number, bool(percent))
    return row or None


def _name(words: str) -> str:
    """`Val Loss` as `val/loss`: split first, then the rest, as our own files have it."""
    name = re.sub(r"[\s.]+", "_", words.strip().lower()).strip("_-")
    name = re.sub(r"^(valid|validation|test|eval)(?=[_/])", "val", name)
    return re.sub(r"^(train|val)_", r"\1/", name)


def _value(text: str, percent: bool) -> float:
    try:
        value = float(text.strip().rstrip("%"))
    except ValueError:
        return float("nan")
    return value / 100 if percent or text.endswith("%") else value
