"""Weights from files of either framework: what fits is loaded by name, the classifier by character; all is said.

Read without running any code of theirs, in any layout.
"""

import json
import logging
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from paddle import nn

from shared.checkpoints.network import find_network
from shared.errors import UserError

log = logging.getLogger(__name__)

WHERE = "model.weights"
TORCH_NAMES = {"running_mean": "_mean", "running_var": "_variance"}
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
    expected = model.state_dict()
    network = find_network(Path(file).expanduser(), expected.keys(), lambda name: paddle_name(rename(name)))
    path, given = network.path, {n: t.array for n, t in network.tensors.items() if t.array is not None}
    if any(tensor.name.endswith(".running_mean") for tensor in network.tensors.values()):
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


def paddle_name(name: str) -> str:
    """Paddle's name of a tensor that torch names."""
    head, _, last = name.rpartition(".")
    return f"{head}.{TORCH_NAMES[last]}" if last in TORCH_NAMES else name


def from_torch(given: State, model: nn.Layer) -> State:
    """torch's (out, in) linear weights as Paddle has them; the counters of its batch norms are left out."""
    linear = {f"{name}.weight" for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)}
    kept = {name: array for name, array in given.items() if not name.endswith("num_batches_tracked")}
    return {name: array.T if name in linear else array for name, array in kept.items()}


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
