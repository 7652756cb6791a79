"""Pickles read as inert data: no class is ever imported, nothing in the file is ever called."""

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """Where a torch tensor's numbers lie: the record `key` of the file."""

    key: str
    dtype: str
    numel: int


@dataclass(frozen=True)
class TorchTensor:
    """A tensor's place in its storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class ArrayState:
    """A pickled numpy array: its shape, dtype and bytes."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.code, self.data = "u1", b""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, _, data = state
        self.shape = tuple(int(n) for n in shape)
        self.code = dtype.code if isinstance(dtype, DtypeState) else "u1"
        self.data = data if isinstance(data, bytes) else b""


class DtypeState:
    def __init__(self, code: str = "u1", *_: Any) -> None:
        self.code = code if isinstance(code, str) and code[:1] in "fiub" and code[1:].isdigit() else "u1"

    def __setstate__(self, state: Any) -> None:
        pass


class Inert:
    """Stands in for every object of every class: takes what a pickle may do to it, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: Any = args[0] if len(args) == 1 else None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        return Inert()

    def __hash__(self) -> int:
        return id(self)


def _tensor(storage: Any, offset: int, shape: tuple, strides: tuple = (), *_: Any) -> Any:
    if not isinstance(storage, Storage):
        return Inert()
    sizes = tuple(int(n) for n in shape)
    return TorchTensor(storage, int(offset), sizes, tuple(int(n) for n in strides))


def _typed(function: Any, _: Any, arguments: tuple, *__: Any) -> Any:
    """A tensor of a subclass of torch's: how it is built, its class, with what."""
    return function(*arguments) if function in (_tensor, _first) else Inert()


def _bytes(text: Any, *_: Any) -> Any:
    """Bytes as protocol 2 writes them: each one as the character of its number."""
    return text.encode("latin1") if isinstance(text, str) else b""


def _array(*_: Any) -> ArrayState:
    return ArrayState()


def _scalar(dtype: Any, data: bytes = b"") -> Any:
    """A numpy scalar: numbers in checkpoints are often of this kind."""
    if isinstance(dtype, DtypeState) and isinstance(data, bytes):
        found = np.frombuffer(data, np.dtype(dtype.code))
        return found[0].item() if len(found) == 1 else None
    return None


def _first(value: Any, *_: Any) -> Any:
    return value


def _dictionary(*args: Any) -> OrderedDict:
    """An OrderedDict; its one argument, in old pickles, is a list of pairs."""
    pairs = args[0] if len(args) == 1 and isinstance(args[0], list) else []
    return OrderedDict(p for p in pairs if isinstance(p, (list, tuple)) and len(p) == 2)


KNOWN = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): lambda *_: {},
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _typed,
    ("_codecs", "encode"): _bytes,
    ("torch", "Size"): lambda shape=(): tuple(shape) if isinstance(shape, (list, tuple)) else (),
    ("numpy", "dtype"): DtypeState,
}


class InertUnpickler(pickle.Unpickler):
    """The documented way to restrict pickle, taken to its end: `find_class` never imports anything."""

    def find_class(self, module: str, name: str) -> Any:
        if name in STORAGES:
            return STORAGES[name]
        if name == "_reconstruct" and module.endswith("multiarray"):
            return _array
        if name == "scalar" and module.endswith("multiarray"):
            return _scalar
        return KNOWN.get((module, name), Inert)

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            dtype = pid[1] if isinstance(pid[1], str) else "uint8"
            return Storage(str(pid[2]), dtype, int(pid[4]))
        return Inert()


def load(file: io.BufferedIOBase) -> Any:
    """One pickle from the file, inert. Raises ValueError for whatever is wrong with it."""
    try:
        return InertUnpickler(file).load()
    except (MemoryError, KeyboardInterrupt):
        raise
    except (
        Exception
    ) as error:  # a pickle's opcodes can fail in any way: TypeError, IndexError, UnicodeError, ...
        raise ValueError(f"not a readable pickle: {error}") from error
