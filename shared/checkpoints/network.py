"""One network's tensors in a weights file of any layout: found by the names that the network has."""

import itertools
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shared.checkpoints.content import Checkpoint, Tensor
from shared.checkpoints.file import in_folder
from shared.checkpoints.foreign import read_checkpoint
from shared.errors import UserError

log = logging.getLogger(__name__)

WHERE = "model.weights"
WRAPPERS = {
    *("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"),
    *("_modules", "_parameters", "_buffers"),
}
"""Parts that compiled, sharded and whole pickled modules put inside the names of their tensors."""
AVERAGED = re.compile(r"(^|[._])(ema|averaged?|averaging|swa|teacher)([._]|$)")
LESS_LIKELY = re.compile(r"(^|[._])(encoder_k|momentum|target|current_model_state)([._]|$)|momentum")
UNNEEDED = "num_batches_tracked"  # absent from files older than torch 0.4.1
SHOWN = 5


@dataclass(frozen=True)
class Network:
    """The tensors by the network's own names; `inside` names the part of the file that they lie in.

    `averaged` names the part with averaged weights, taken over the others; `left` other copies that were not taken.
    """

    path: Path
    tensors: dict[str, Tensor]
    inside: str
    averaged: str
    left: list[str]

    def adapted(self, adapt: Callable[[str, np.ndarray], np.ndarray]) -> "Network":
        """The same network with `adapt(name, array)` in the place of each array."""
        tensors = dict(self.tensors)
        for name, tensor in self.tensors.items():
            if (array := tensor.array) is not None:
                new = adapt(name, array)
                tensors[name] = Tensor(name, new.dtype.name, new.shape, np.ascontiguousarray(new).ravel())
        return replace(self, tensors=tensors)

    def __str__(self) -> str:
        part = f" ({self.inside})" if self.inside else ""
        averaged = f", the averaged ones ({self.averaged})" if self.averaged else ""
        left = f"; not taken: {', '.join(self.left)}" if self.left else ""
        return f"{self.path}{part}{averaged}{left}"


def find_network(path: Path, expected: Collection[str], rename: Callable[[str], str] = str) -> Network:
    """The network with the `expected` tensor names in the file or run folder `path`.

    Whatever stands before the names (`state_dict.`, `model.`, `module.`, `net.`, `backbone.` and any others) is found
    by trying. Averaged weights win where the file has them. `rename` turns a file's names into the network's.
    Raises UserError with the reason where there is no such network.
    """
    content = read_weights(path)
    named = {without_wrappers(tensor.name): tensor for tensor in content.tensors}
    found: dict[str, set[str]] = defaultdict(set)
    for name in named:
        parts = name.split(".")
        for at in range(len(parts)):
            if rename(".".join(parts[at:])) in expected:
                found[".".join(parts[:at])].add(name)
    if not found:
        raise UserError(_nothing_fits(content, expected), WHERE, "give weights of this network")

    order = list(found)
    ranked = sorted(found, key=lambda p: (-len(found[p]), bool(LESS_LIKELY.search(p)), order.index(p)))
    whole = [prefix for prefix in ranked if 2 * len(found[prefix]) > len(found[ranked[0]])]
    averaged = next((prefix for prefix in whole if AVERAGED.search(prefix)), "")
    inside = next((prefix for prefix in whole if not AVERAGED.search(prefix)), averaged)

    tensors = _below(inside, named, rename)
    if averaged:
        tensors |= {name: t for name, t in _below(averaged, named, rename).items() if name in expected}
    left = [prefix or "the bare tensors" for prefix in whole if prefix not in (inside, averaged)]
    return Network(content.path, tensors, inside, averaged, left)


def read_weights(path: Path) -> Checkpoint:
    """The tensors of a weights file, or of the best checkpoint of a run folder; UserError if there are none."""
    path = in_folder(path) if path.is_dir() else path
    mend = "give a weights file (.pth, .ckpt, .safetensors, .npz, .pdparams ...) or a run folder, or null"
    if not path.is_file():
        raise UserError(f"no file {path}", WHERE, mend)
    try:
        content = read_checkpoint(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}", WHERE, mend) from error
    if not content.tensors:
        raise UserError(f"{path} holds no tensors", WHERE, mend)
    return content


def check_fit(network: Network, expected: Mapping[str, tuple[int, ...]], fresh: Collection[str] = ()) -> None:
    """Raise UserError with the reason unless the network has all `expected` tensors in their shapes.

    Those named in `fresh` (a classifier of other classes) may be missing or have another shape.
    """
    given = network.tensors
    missing = [n for n in expected if n not in given and n not in fresh and not n.endswith(UNNEEDED)]
    other = [n for n in expected if n in given and given[n].shape != expected[n] and n not in fresh]
    cut = [n for n in expected if n in given and n not in other and given[n].array is None and expected[n]]
    modules = {name.split(".")[0] for name in expected} - {name.split(".")[0] for name in fresh}
    more = [n for n in given if n not in expected and n not in fresh and n.split(".")[0] in modules]
    more = [name for name in more if not name.endswith(UNNEEDED)]

    reasons = []
    if other:
        sizes = f"{given[other[0]].shape} in the file, {expected[other[0]]} here"
        reasons.append(f"{_some(other)} of another shape ({sizes})")
    if missing:
        reasons.append(f"{_some(missing)} not in the file")
    if more:
        reasons.append(f"{_some(more)} in the file, but not in this network")
    if cut:
        reasons.append(f"{_some(cut)} without its numbers: the file is damaged")
    if reasons:
        mend = "choose the model settings that the weights were made with, or other weights"
        raise UserError(f"{network.path} is of another network: {'; '.join(reasons)}", WHERE, mend)


def report(network: Network, taken: Collection[str], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Log what was loaded, what of the network stays as it was, and what of the file was not used."""
    log.info("%s: loaded %d tensors from %s", WHERE, len(taken), network)
    fresh = [f"{n} {s}" for n, s in expected.items() if n not in taken and not n.endswith(UNNEEDED)]
    unused = [name for name in network.tensors if name not in expected]
    for what, names in (("not loaded, left fresh", fresh), ("not used", unused)):
        if names:
            log.warning("%s: %s: %s", WHERE, what, _some(names))


def _below(prefix: str, named: dict[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    start = f"{prefix}." if prefix else ""
    inside = {name: tensor for name, tensor in named.items() if name.startswith(start)}
    return {rename(name.removeprefix(start)): tensor for name, tensor in inside.items()}


def layout(checkpoint: Checkpoint) -> int:
    """A hash of a network's tensors, names and shapes: the same under any prefix."""
    named = [(without_wrappers(t.name).split("."), t.shape) for t in checkpoint.model]
    named = [(parts, shape) for parts, shape in named if parts[-1] != UNNEEDED]
    levels = zip(*(parts[:-1] for parts, _ in named), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, levels))
    return hash(frozenset((".".join(parts[shared:]), shape) for parts, shape in named))


def without_wrappers(name: str) -> str:
    """A tensor's name without what compilation, sharding and pickled modules have put inside it."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _nothing_fits(content: Checkpoint, expected: Collection[str]) -> str:
    given = _some([tensor.name for tensor in content.tensors])
    return f"no tensor of {content.path} has a name of this network: it holds {given}; wanted {_some(list(expected))}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
