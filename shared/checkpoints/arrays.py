"""A checkpoint without a framework: nested plain values as JSON, each array as .npy, in one stored zip.

The zip has checksums. What the Paddle projects write: their framework would pickle. Nothing in such a file can run.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

TREE, ARRAY = "tree.json", "__array__"


def holds_arrays(path: Path) -> bool:
    """Whether the file is one of these; zipfile.BadZipFile for what is no zip at all."""
    with zipfile.ZipFile(path) as archive:
        return TREE in archive.namelist()


def save(content: dict[str, Any], file: BinaryIO) -> None:
    """Write nested dicts and lists of plain values and arrays; keys become strings."""
    arrays: list[np.ndarray] = []

    def plain(node: Any) -> Any:
        if isinstance(node, np.ndarray):
            arrays.append(node)
            return {ARRAY: len(arrays) - 1}
        if isinstance(node, dict):
            return {str(key): plain(value) for key, value in node.items()}
        return [plain(value) for value in node] if isinstance(node, list | tuple) else node

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(TREE, json.dumps(plain(content), ensure_ascii=False))
        for number, array in enumerate(arrays):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)


def load(path: Path) -> dict[str, Any]:
    """What `save` was given; ValueError or KeyError if the file is damaged."""
    with zipfile.ZipFile(path) as archive:

        def filled(node: Any) -> Any:
            if isinstance(node, dict) and ARRAY in node:
                content = io.BytesIO(archive.read(f"{node[ARRAY]}.npy"))
                return np.lib.format.read_array(content, allow_pickle=False)
            if isinstance(node, dict):
                return {key: filled(value) for key, value in node.items()}
            return [filled(value) for value in node] if isinstance(node, list) else node

        return filled(json.loads(archive.read(TREE)))
