"""Event files of TensorBoard and W&B read as plain data: their record framing and protobuf's wire format.

Neither package is imported: it takes seconds, and a run's numbers are three fields of each record.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.runs.reading.table import MAX_CELLS, Table

BLOCK = 32768
MAX_RECORD = 64_000_000


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: integers for varints, bytes for everything else.

    Errors: ValueError where the message is cut short or is no protobuf.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
        else:
            if wire == 2:
                size, at = _varint(message, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire}")
            value, at = message[at : at + size], at + size
            if at > len(message):
                raise ValueError("cut short")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("cut short")


def _tensorboard_records(file) -> Iterator[bytes]:
    """TFRecord framing: length (8), checksum (4), data, checksum (4)."""
    while len(head := file.read(12)) == 12:
        (size,) = struct.unpack("<Q", head[:8])
        data = file.read(size) if size < MAX_RECORD else b""
        if len(data) < size or len(file.read(4)) < 4:
            raise ValueError("cut short")
        yield data


def _wandb_records(file) -> Iterator[bytes]:
    """LevelDB's framing after a 7-byte header: 32 KiB blocks of checksum (4), length (2), type (1), data."""
    if file.read(7)[:4] != b":W&B":
        raise ValueError("not a W&B file")
    parts: list[bytes] = []
    while True:
        left = BLOCK - file.tell() % BLOCK
        if left < 7:
            file.read(left)
            continue
        head = file.read(7)
        if len(head) < 7:
            return
        size, kind = struct.unpack("<HB", head[4:])
        data = file.read(size)
        if len(data) < size:
            raise ValueError("cut short")
        parts = [data] if kind in (1, 2) else [*parts, data]
        if kind in (1, 4):
            yield b"".join(parts)


def _tensorboard_rows(path: Path) -> Iterator[dict[str, float]]:
    with path.open("rb") as file:
        for record in _tensorboard_records(file):
            event = dict(fields(record))
            for number, value in fields(event.get(5, b"")):
                if number == 1:
                    scalar = _scalar(dict(fields(value)))
                    if scalar:
                        yield {"step": float(event.get(2, 0)), scalar[0]: scalar[1]}


def _scalar(value: dict) -> tuple[str, float] | None:
    """Tag and number of a summary value: the old simple_value (2) or a one-element float tensor (8)."""
    tag = bytes(value.get(1, b"")).decode("utf-8", "replace")
    if isinstance(value.get(2), bytes):
        return tag, struct.unpack("<f", value[2])[0]
    tensor = dict(fields(value.get(8, b"")))
    floats = tensor.get(5) or (tensor.get(4) if tensor.get(1) == 1 else None)
    if isinstance(floats, bytes) and len(floats) == 4:
        return tag, struct.unpack("<f", floats)[0]
    return None


def _wandb_rows(path: Path) -> Iterator[dict[str, float]]:
    with path.open("rb") as file:
        for record in _wandb_records(file):
            history = dict(fields(record)).get(2)
            if not isinstance(history, bytes):
                continue
            row = {}
            for number, item in fields(history):
                if number == 1 and isinstance(item, bytes):
                    name, value = _history_item(item)
                    if isinstance(value, (int, float)) and not isinstance(value, bool):
                        row[name] = float(value)
            row["step"] = row.pop("_step", row.get("trainer/global_step", 0.0))
            yield row


def _history_item(item: bytes) -> tuple[str, object]:
    parts = list(fields(item))
    name = "/".join(bytes(v).decode("utf-8", "replace") for n, v in parts if n in (1, 2))
    value = next((v for n, v in parts if n == 16), b"null")
    return name, json.loads(bytes(value))


def read_events(paths: list[Path]) -> Table:
    """Scalars of TensorBoard or W&B files as a table with a row a record, in the order of `step`."""
    rows: list[dict[str, float]] = []
    warnings = []
    for path in sorted(paths):
        reader = _wandb_rows if path.suffix == ".wandb" else _tensorboard_rows
        try:
            for row in reader(path):
                rows.append(row)
                if len(rows) * 4 > MAX_CELLS:
                    warnings.append(f"only the first {len(rows):,} records were read")
                    break
        except (ValueError, struct.error) as error:
            warnings.append(f"{path.name}: {error} after {len(rows):,} records; what came before is used")
    rows.sort(key=lambda row: row["step"])
    return table_of(rows, warnings)


def table_of(rows: list[dict[str, float]], warnings: list[str]) -> Table:
    """Sparse rows as columns; epochs that are logged as a scalar of their own are spread to all rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    bad = {}
    for name in names:
        wrong = [i for i, row in enumerate(rows) if name in row and not np.isfinite(row[name])]
        if wrong:
            bad[name] = wrong[0]
    if "epoch" in columns:
        columns["epoch"] = _spread(columns["epoch"], columns.get("step"))
    return Table(columns, bad, warnings)


def _spread(epoch: np.ndarray, step: np.ndarray | None) -> np.ndarray:
    """Each row's epoch: its own, else that of its step, else of the next known one, else of the last."""
    if step is not None:
        known = {s: e for s, e in zip(step, epoch, strict=True) if np.isfinite(e)}
        epoch = np.array([known.get(s, e) for s, e in zip(step, epoch, strict=True)])
    places = np.flatnonzero(np.isfinite(epoch))
    if not len(places):
        return epoch
    nearest = np.searchsorted(places, np.arange(len(epoch))).clip(max=len(places) - 1)
    return epoch[places[nearest]]
