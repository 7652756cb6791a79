"""Weights from files of either framework: what fits is loaded by name, the classifier by character; all is said.

Read without running any code of theirs: safetensors, .npz, Paddle's .pdparams, and our own checkpoints.
"""

import json
import logging
import struct
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import yaml
from paddle import nn

from shared.errors import UserError
from shared.runs.checkpoints.reader import read_checkpoint

log = logging.getLogger(__name__)

WHERE = "model.weights"
TORCH_NAMES = {"running_mean": "_mean", "running_var": "_variance"}
PREFIXES = (
    "state_dict.",
    "state_dict.model.",
    "model.",
    "module.",
)  # what training code puts before a network's own names
SHOWN = 8  # names that a message lists

State = dict[str, np.ndarray]


def load_weights(
    model: nn.Layer,
    file: str,
    characters: str,
    classifier: tuple[str, str],
    rename: Callable[[str], str] = str,
) -> None:
    """Copy the tensors of `file` into `model`, those of a torch network turned to Paddle's layout.

    `rename` turns other names into the network's. `classifier` names the last layer's weight (width, classes) and
    bias, whose rows belong to the blank and then to `characters`; if the file has other characters
    (known_characters), rows go over by character. UserError if a tensor outside the classifier does not fit, or if
    nothing does.
    """
    path = Path(file).expanduser()
    expected = model.state_dict()
    given = named_as({rename(name): array for name, array in read(path).items()}, expected)
    if any(name.endswith(".running_mean") for name in given):
        given = from_torch(given, model)
    given = with_rows(given, path, characters, classifier)
    fitting = {
        name: a for name, a in given.items() if name in expected and a.shape == tuple(expected[name].shape)
    }
    odd = [name for name in given if name in expected and name not in fitting and name not in classifier]
    if odd or not fitting:
        what = f"{path} does not fit" + (f", such as {odd[0]} {given[odd[0]].shape}" if odd else "")
        raise UserError(what, WHERE, "give weights of the same model=...")
    for name, array in fitting.items():
        expected[name].set_value(array.astype(np.float32))
    report(
        path, len(fitting), [n for n in expected if n not in fitting], [n for n in given if n not in expected]
    )


def report(path: Path, loaded: int, fresh: list[str], unused: list[str]) -> None:
    log.info("%s: loaded %d tensors from %s", WHERE, loaded, path)
    for what, names in (("left fresh", fresh), ("not used", unused)):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            log.warning("%s: %d tensors %s: %s%s", WHERE, len(names), what, ", ".join(names[:SHOWN]), more)


def read(path: Path) -> State:
    """Arrays by the network's own names; the averaged ones of a checkpoint that has them."""
    try:
        if path.suffix == ".npz":
            with np.load(path) as file:
                return {name: file[name] for name in file.files}
        content = read_checkpoint(path)
    except (OSError, ValueError) as error:
        mend = "give a .safetensors, .npz, .pdparams or .ckpt file, or null"
        raise UserError(f"cannot read {path}: {error}", WHERE, mend) from error
    averaged = [t for t in content.tensors if t.name.startswith("ema.")]
    whole = [t for t in [*content.model, *averaged] if t.data is not None and t.data.size == t.numel]
    return {t.name.removeprefix("ema."): widened(t.data, t.dtype).reshape(t.shape) for t in whole}


def named_as(given: State, expected: Collection[str]) -> State:
    """The arrays without what stands before the network's own names, where that makes more of them fit."""
    best = given
    for prefix in PREFIXES:
        bare = {name.removeprefix(prefix): array for name, array in given.items()}
        if len(bare.keys() & expected) > len(best.keys() & expected):
            best = bare
    return best


def widened(data: np.ndarray, dtype: str) -> np.ndarray:
    """bfloat16 lies in the file as its 16 bits: the upper half of a float32."""
    return (data.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else data


def from_torch(given: State, model: nn.Layer) -> State:
    """torch's names for running statistics, and its (out, in) linear weights, as Paddle has them."""
    linear = {f"{name}.weight" for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)}
    found = {}
    for name, array in given.items():
        head, _, last = name.rpartition(".")
        if last != "num_batches_tracked":
            found[f"{head}.{TORCH_NAMES.get(last, last)}"] = array.T if name in linear else array
    return found


def with_rows(given: State, path: Path, characters: str, classifier: tuple[str, str]) -> State:
    """The classifier of other characters with its rows in the places that they have here; new ones stay out of it.

    A character that the file does not know begins as likely as the blank's mean neighbour: with the mean of all rows.
    """
    weight, bias = classifier
    known = known_characters(path)
    if weight not in given or known is None or known == characters:
        return given
    rows = {character: row for row, character in enumerate(known, start=1)}
    if len(known) + 1 != given[weight].shape[1]:
        log.warning("%s: %d characters beside %s do not match its classifier", WHERE, len(known), path)
        return given
    source = [0] + [rows.get(character, -1) for character in characters]
    old, offset = given[weight].astype(np.float32), given[bias].astype(np.float32)
    old = np.concatenate([old, old[:, 1:].mean(1, keepdims=True)], axis=1)
    offset = np.append(offset, offset[1:].mean())
    new = "".join(character for character in characters if character not in rows)
    kept = len(characters) - len(new)
    log.info("%s: %d of %d characters reused; new: %s", WHERE, kept, len(characters), new or "none")
    return given | {weight: old[:, source], bias: offset[source]}


def known_characters(path: Path) -> str | None:
    """The characters of a file's classifier, in order: `characters` in its metadata, or PaddleOCR's inference.yml or
    dictionary (dict.txt, one a line) beside it; both of the latter end with a space that they do not name."""
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        if found := header.get("__metadata__", {}).get("characters"):
            return found
    beside = path.with_name("inference.yml")
    if beside.is_file():
        content = yaml.safe_load(beside.read_text(encoding="utf-8"))
        return "".join(content["PostProcess"]["character_dict"]) + " "
    beside = path.with_name("dict.txt")
    if beside.is_file():
        return "".join(beside.read_text(encoding="utf-8").split("\n")) + " "
    return None
