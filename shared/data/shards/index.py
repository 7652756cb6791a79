"""The index of a split in shards: where each sample's bytes lie, what it is called, its label and checksums.

<split>/shard-000000.tar ...   files NUMBER.jpg and NUMBER.cls (.txt for lines of text), as WebDataset names them
<split>/index.npz              rows in the order of the data set that was packed, whatever the order in the shards
<split>/shards.json            what was packed and how, the labels, SHA-256 of every shard and of the index
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.errors import UserError
from shared.files import replaced

INDEX, ABOUT = "index.npz", "shards.json"
MEND = "fetch or pack it again (scripts/shard.py)"


class Index(NamedTuple):
    """Rows: `size` bytes from `offset` on in `shard`, their CRC-32, the label's number, and all names in one array."""

    shard: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    crc: np.ndarray
    label: np.ndarray
    names: np.ndarray
    ends: np.ndarray

    def name(self, row: int) -> str:
        """The file that the sample was packed from, below the root."""
        start = self.ends[row - 1] if row else 0
        return self.names[start : self.ends[row]].tobytes().decode("utf-8", "surrogateescape")


def pack_names(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """UTF-8 of all names side by side (uint8), and where each ends (int64)."""
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(
        [len(name) for name in encoded], dtype=np.int64
    )


def write(folder: Path, index: Index, about: dict[str, Any]) -> dict[str, Any]:
    """Both files, each in one step; shards.json comes last and makes the split whole. Returns what it says."""
    buffer = io.BytesIO()
    np.savez(buffer, **index._asdict())
    about = {
        **about,
        "samples": len(index.shard),
        "index_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    for name, content in (
        (INDEX, buffer.getvalue()),
        (ABOUT, json.dumps(about, ensure_ascii=False).encode()),
    ):
        with replaced(folder / name) as temporary:
            temporary.write_bytes(content)
    return about


def parse_about(data: bytes, where: str) -> dict[str, Any]:
    """shards.json; UserError if it is not what `write` writes."""
    try:
        about = json.loads(data)
        files = [Path(each["name"]).name == each["name"] and each["bytes"] >= 0 for each in about["shards"]]
        texts = [isinstance(label, str) for label in about["labels"]]
        if not (files and all(files) and all(texts)):
            raise ValueError("its shards or labels are no list of names")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"not a list of shards: {error}", where, MEND) from error
    return about


def parse_index(data: bytes, about: dict[str, Any], where: str) -> Index:
    """index.npz; UserError if it is not the one that shards.json speaks of, or points outside the shards."""
    try:
        if hashlib.sha256(data).hexdigest() != about.get("index_sha256"):
            raise ValueError("its checksum differs")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            index = Index(**{name: arrays[name] for name in Index._fields})
        sizes = np.array([shard["bytes"] for shard in about["shards"]])
        rows = {len(column) for column in (*index[:5], index.ends)}
        inside = index.offset + index.size <= sizes[index.shard]
        if not (rows == {about["samples"]} and inside.all() and index.label.max() < len(about["labels"])):
            raise ValueError("its rows do not fit the shards")
    except (ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise UserError(f"not the index of these shards: {error}", where, MEND) from error
    return index
