"""Any framework's checkpoint as named tensors on disk and a tree of plain values; nothing in it is run."""

import io
import json
import mmap
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared.checkpoints import inert
from shared.checkpoints.arrays import ARRAY, TREE
from shared.checkpoints.content import Checkpoint, Tensor

SUFFIXES = (".pt", ".pth", ".pth.tar", ".ckpt", ".safetensors", ".pdparams", ".pdopt")
ALSO_OTHERS = (".bin", ".model", ".npz", ".pkl", ".tar", ".th")
"""Suffixes of checkpoints and of other files: what is in the file decides."""
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MAX_PICKLE, MAX_ENTRIES, MAX_LEAVES = 256_000_000, 200_000, 500_000
SAFE = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
        "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}  # fmt: skip
WIDTH = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
         "complex64": 8, "complex128": 16}  # fmt: skip


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint, by its name or, where other files have such names too, by what is in it."""
    name = path.name.lower()
    if name.startswith(".") or not name.endswith(SUFFIXES + ALSO_OTHERS) or not path.is_file():
        return False
    if name.endswith(SUFFIXES):
        return True
    try:
        return bool(read_checkpoint(path).tensors)
    except (OSError, ValueError):
        return False


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's structure; the numbers stay on disk. Raises ValueError with the reason it cannot."""
    size = path.stat().st_size
    if size < 8:
        raise ValueError("empty file" if size == 0 else "far too short for a checkpoint")
    try:
        with path.open("rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(path, buffer)
    except (
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise ValueError(f"malformed: {error}") from error


def _read(path: Path, buffer: mmap.mmap) -> Checkpoint:
    if path.suffix == ".safetensors" or buffer[8:9] == b"{":
        return _safetensors(path, buffer)
    if buffer[:4] == b"PK\x03\x04":
        return _zip(path, buffer)
    if buffer[:2] in PICKLES:
        return _pickle(path, buffer)
    raise ValueError("neither a zip archive, a pickle nor a safetensors file")


def _safetensors(path: Path, buffer: mmap.mmap) -> Checkpoint:
    (size,) = struct.unpack("<Q", buffer[:8])
    if size > min(MAX_PICKLE, len(buffer) - 8):
        raise ValueError("cut short: the header is longer than the file")
    header = json.loads(buffer[8 : 8 + size])
    found = Checkpoint(path)
    for name, entry in header.items():
        if name == "__metadata__":
            found.values.update({str(k): v for k, v in entry.items()})
            continue
        start, end = (8 + size + int(n) for n in entry["data_offsets"])
        dtype = SAFE.get(entry["dtype"], "uint8")
        if not 8 + size <= start <= end <= len(buffer):
            raise ValueError(f"cut short: {name} lies beyond the end of the file")
        shape = tuple(int(n) for n in entry["shape"])
        found.tensors.append(Tensor(name, dtype, shape, _view(buffer, start, end - start, dtype)))
    return found


def _zip(path: Path, buffer: mmap.mmap) -> Checkpoint:
    """torch.save since 1.6: `<name>/data.pkl` and one stored record a tensor storage."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError("cut short or not a zip archive") from error
    with archive:
        entries = {info.filename: info for info in archive.infolist()[:MAX_ENTRIES]}
        name = next((n for n in entries if n.endswith("/data.pkl") or n == "data.pkl"), None)
        if name is None and any(n.endswith(".npy") for n in entries):
            return _arrays(path, archive)
        if name is None:
            raise ValueError("a zip archive, but not a checkpoint: no data.pkl in it")
        if entries[name].file_size > MAX_PICKLE or entries[name].compress_type != zipfile.ZIP_STORED:
            raise ValueError("its data.pkl is compressed or far too large: not written by torch.save")
        tree = inert.load(io.BytesIO(archive.read(name)))
    folder = name[: -len("data.pkl")]

    def place(storage: inert.Storage) -> tuple[int, int] | None:
        info = entries.get(f"{folder}data/{storage.key}")
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            return None
        names = struct.unpack("<HH", buffer[info.header_offset + 26 : info.header_offset + 30])
        return info.header_offset + 30 + sum(names), info.file_size

    return _collect(path, buffer, tree, place)


def _arrays(path: Path, archive: zipfile.ZipFile) -> Checkpoint:
    """NumPy's .npz, and the Paddle projects' checkpoints: a tree whose arrays stand beside it by number."""
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    arrays = {
        name.removesuffix(".npy"): np.lib.format.read_array(
            io.BytesIO(archive.read(name)), allow_pickle=False
        )
        for name in names
    }
    if TREE not in archive.namelist():
        return Checkpoint(path, [Tensor(n, a.dtype.name, a.shape, a.ravel()) for n, a in arrays.items()])
    found = Checkpoint(path)
    for name, leaf in _leaves(json.loads(archive.read(TREE))):
        head, _, last = name.rpartition(".")
        if last == ARRAY:
            array = arrays[str(leaf)]
            found.tensors.append(Tensor(head, array.dtype.name, array.shape, array.ravel()))
        elif isinstance(leaf, bool | int | float | str):
            found.values[name] = leaf
    return found


def _pickle(path: Path, buffer: mmap.mmap) -> Checkpoint:
    """Paddle's pickles of arrays, and torch.save before 1.6: five pickles, then the storages."""
    tree = inert.load(buffer)
    places: dict[str, tuple[int, int]] = {}
    if isinstance(tree, int):  # torch's magic number; then protocol, system, the object, the storages' keys
        inert.load(buffer), inert.load(buffer)
        tree = inert.load(buffer)
        keys = inert.load(buffer)
        sizes = {s.key: s for s in _storages(tree)}
        at = buffer.tell()
        for key in keys if isinstance(keys, list) else []:
            storage = sizes.get(str(key))
            if storage is None or at + 8 > len(buffer):
                break
            (count,) = struct.unpack("<q", buffer[at : at + 8])
            length = count * WIDTH.get(storage.dtype, 1)
            places[storage.key] = (at + 8, length)
            at += 8 + length
    return _collect(path, buffer, tree, lambda storage: places.get(storage.key))


def _storages(tree: Any) -> Iterator[inert.Storage]:
    for _, leaf in _leaves(tree):
        if isinstance(leaf, inert.TorchTensor):
            yield leaf.storage


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """(dotted path, leaf) of dicts, lists and tuples in order; each container once, none forever."""
    stack: list[tuple[str, Any]] = [("", tree)]
    seen: set[int] = set()
    count = 0
    while stack and count < MAX_LEAVES:
        path, node = stack.pop()
        if isinstance(node, inert.Inert) and isinstance(node.state, dict):
            node = node.state
        if isinstance(node, dict):
            items = list(node.items())
        elif isinstance(node, (list, tuple)):
            items = list(enumerate(node))
        else:
            count += 1
            yield path, node
            continue
        if id(node) not in seen:
            seen.add(id(node))
            stack += [(f"{path}.{key}" if path else str(key), value) for key, value in reversed(items)]


def _collect(path: Path, buffer: mmap.mmap, tree: Any, place) -> Checkpoint:
    found = Checkpoint(path)
    for name, leaf in _leaves(tree):
        if isinstance(leaf, inert.TorchTensor):
            where = place(leaf.storage)
            width = WIDTH.get(leaf.storage.dtype, 1)
            data = None
            if where is not None:
                start, size = where[0] + leaf.offset * width, _span(leaf) * width
                if leaf.offset < 0 or start + size > min(len(buffer), where[0] + where[1]):
                    start, size = where  # it does not lie where it says: its whole storage stands for it
                data = _view(buffer, start, min(size, len(buffer) - start), leaf.storage.dtype)
            found.tensors.append(Tensor(name, leaf.storage.dtype, leaf.shape, data, leaf.strides))
        elif isinstance(leaf, inert.ArrayState):
            dtype = np.dtype(leaf.code)
            data = np.frombuffer(leaf.data[: len(leaf.data) // dtype.itemsize * dtype.itemsize], dtype)
            found.tensors.append(Tensor(name, dtype.name, leaf.shape, data))
        elif isinstance(leaf, (bool, int, float, str)):
            found.values[name] = leaf
    if not found.tensors and not found.values:
        raise ValueError("no tensor and no value in it")
    return found


def _span(tensor: inert.TorchTensor) -> int:
    """Elements from a tensor's first number to its last; those of channels_last lie in another order."""
    if len(tensor.strides) != len(tensor.shape) or 0 in tensor.shape:
        return int(np.prod(tensor.shape, dtype=np.int64))
    return 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))


def _view(buffer: mmap.mmap, start: int, size: int, dtype: str) -> np.ndarray | None:
    """Numbers in place; bfloat16 as its 16 bits."""
    kind = np.dtype("uint16" if dtype == "bfloat16" else dtype)
    if start < 0 or size < 0:
        return None
    return np.frombuffer(buffer, kind, size // kind.itemsize, start)
