"""Rows of numbers from a CSV file of any dialect: bounded memory, no guess left unsaid."""

import csv
import re
from array import array
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from shared.errors import UserError

MAX_CELLS = 40_000_000  # 320 MB of float64
MAX_COLUMNS = 2_000
CHUNK = 20_000
NOT_FINITE = re.compile(r"[-+]?(nan|inf(inity)?)", re.I)


@dataclass
class Table:
    """Columns of float64, one entry a row; NaN where the cell was empty or not a number.

    `bad` gives, per column, the index of the first row whose cell said NaN or Inf in so many words.
    """

    columns: dict[str, np.ndarray]
    bad: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def _encoding(path: Path) -> str:
    head = path.open("rb").read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    return "utf-8-sig"


def _delimiter(header: str) -> str:
    return max(",;\t|", key=header.count)


def _numbers(cells: tuple[str, ...], decimal_comma: bool) -> tuple[np.ndarray, int | None]:
    """The cells as float64, NaN where empty or no number, and the first that says NaN or Inf in so many words."""
    try:
        values = np.fromiter(map(float, [cell or "nan" for cell in cells]), float, len(cells))
    except ValueError:
        values = np.array([_number(cell, decimal_comma) for cell in cells])
    odd = np.flatnonzero(~np.isfinite(values))
    return values, next((int(i) for i in odd if NOT_FINITE.fullmatch(cells[i].strip())), None)


def _number(cell: str, decimal_comma: bool) -> float:
    text = cell.strip()
    if decimal_comma:
        text = text.replace(",", ".")
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return np.nan


def read_csv(path: Path) -> Table:
    """Read a CSV file with a header line.

    Errors: UserError for a file that is no table (empty, binary, no numeric column).
    """
    try:
        with path.open(encoding=_encoding(path), errors="replace", newline="") as lines:
            return _read(path, lines)
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"not a readable CSV file ({error})", str(path), "save it as UTF-8 text") from error
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise UserError(f"cannot read the file: {reason}", str(path), "check the path") from error


def _read(path: Path, lines) -> Table:
    header = lines.readline(1_000_000)
    delimiter = _delimiter(header)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    if not any(names) or "\0" in header or len(names) > MAX_COLUMNS:
        raise UserError(
            "no header line of column names", str(path), "give a CSV file: `epoch,val/top1,lr`, …"
        )
    warnings = []
    if len(set(names)) < len(names):
        warnings.append("column names repeat: the last one of each name is used")
    columns = [array("d") for _ in names]
    bad: dict[str, int] = {}
    limit = MAX_CELLS // len(names)
    rows = ragged = 0
    reader = csv.reader((line.replace("\0", "") for line in lines), delimiter=delimiter)
    while block := list(islice(reader, CHUNK)):
        chunk = [row for row in block if row and row != names]  # a resumed run repeats its header
        if rows + len(chunk) > limit:
            warnings.append(f"only the first {rows:,} rows were read: the file is longer")
            break
        wrong = [place for place, row in enumerate(chunk) if len(row) != len(names)]
        ragged += len(wrong)
        for place in wrong:
            chunk[place] = (chunk[place] + [""] * len(names))[: len(names)]
        for name, column, cells in zip(names, columns, zip(*chunk, strict=True), strict=bool(chunk)):
            values, first_bad = _numbers(cells, decimal_comma=delimiter == ";")
            column.frombytes(values.tobytes())
            if first_bad is not None:
                bad.setdefault(name, rows + first_bad)
        rows += len(chunk)
    if ragged:
        warnings.append(f"{ragged} rows have more or fewer cells than the header")
    named = {n: np.frombuffer(c) if rows else np.empty(0) for n, c in zip(names, columns, strict=True) if n}
    return Table(_numeric(path, named, bad), bad, warnings)


def _numeric(path: Path, columns: dict[str, np.ndarray], bad: dict[str, int]) -> dict[str, np.ndarray]:
    """Drop the columns that hold words; a file with nothing else is no table."""
    if not len(next(iter(columns.values()))):
        raise UserError("the table has a header and no rows", str(path), "wait for the first epoch to finish")
    kept = {n: c for n, c in columns.items() if np.isfinite(c).any() or n in bad}
    if not kept:
        raise UserError("no column of numbers", str(path), "give a CSV file with a header line and numbers")
    return kept
