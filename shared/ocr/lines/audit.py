"""What is wrong with a set of labelled lines, and a split on whose two sides nothing is the same."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.data.draws import keyed_generator
from shared.errors import ImageError
from shared.ocr.lines.batch import frames, frames_needed
from shared.ocr.lines.image import decode, prepare
from shared.ocr.lines.tables import Line, image_bytes
from shared.ocr.script.charset import Charset
from shared.ocr.script.normalise import fold

SHOWN = 20  # examples named of each problem


class Facts(NamedTuple):
    """A line as it was found: `digest` of its pixels and `width` at the recogniser's height, or why it has none."""

    line: Line
    text: str
    digest: str
    width: int
    error: str


def inspect_line(line: Line, charset: Charset, height: int) -> Facts:
    """Read one line's image; pixels, not bytes, are compared, so that a saved copy counts as the same."""
    text = fold(line.text, charset.language)
    try:
        image = decode(image_bytes(line.image))
        width = prepare(image, height).shape[1]
    except (ImageError, OSError) as error:
        return Facts(line, text, "", 0, str(error))
    return Facts(
        line, text, hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest(), width, ""
    )


def report(facts: dict[str, list[Facts]], charset: Charset) -> dict[str, Any]:
    """Counts and examples of every problem; `facts` by split."""
    every = [fact for split in facts.values() for fact in split]
    outside = Counter(c for fact in every for c in fact.text if c in charset.missing(fact.text))
    by_image: dict[str, set[str]] = defaultdict(set)
    for fact in every:
        by_image[fact.digest].add(fact.text)
    seen = Counter(fact.digest for fact in every if fact.digest)
    problems = {
        "unreadable": [f"{fact.line.image}: {fact.error}" for fact in every if fact.error],
        "empty_label": [fact.line.image for fact in every if not fact.text],
        "outside_charset": [fact.line.image for fact in every if charset.missing(fact.text)],
        "too_long_for_width": [
            fact.line.image for fact in every if not fact.error and too_long(fact, charset)
        ],
        "duplicate_image": [fact.line.image for fact in every if seen[fact.digest] > 1],
        "same_image_other_label": [f.line.image for f in every if f.digest and len(by_image[f.digest]) > 1],
        **leaks(facts),
    }
    return {
        "lines": {split: len(found) for split, found in facts.items()},
        "characters": sum(len(fact.text) for fact in every),
        "outside_charset_characters": {f"{c} U+{ord(c):04X}": n for c, n in outside.most_common()},
        "unused_characters": "".join(sorted(set(charset.characters) - {c for f in every for c in f.text})),
        "problems": {name: len(found) for name, found in problems.items()},
        "examples": {name: found[:SHOWN] for name, found in problems.items() if found},
    }


def too_long(fact: Facts, charset: Charset) -> bool:
    """Whether CTC has fewer frames than the label needs."""
    label = [charset.index.get(character, 0) for character in fact.text]
    return frames_needed(label) > frames(fact.width)


def leaks(facts: dict[str, list[Facts]]) -> dict[str, list[str]]:
    """Validation lines whose image, or whose text, is in training, too."""
    images = {fact.digest for fact in facts.get("train", []) if fact.digest}
    texts = {fact.text for fact in facts.get("train", []) if fact.text}
    val = facts.get("val", [])
    return {
        "leaked_image": [fact.line.image for fact in val if fact.digest in images],
        "leaked_text": [fact.line.image for fact in val if fact.text in texts],
    }


def split(facts: Sequence[Facts], charset: Charset, seed: int) -> tuple[list[Facts], list[Facts]]:
    """The usable lines as 80 % for training and 20 % for validation; lines of one image or one text stay together."""
    good = [
        f
        for f in facts
        if not f.error and f.text and not charset.missing(f.text) and not too_long(f, charset)
    ]
    groups = group(good)
    order = keyed_generator(seed, "split").permutation(len(groups))
    train: list[Facts] = []
    val: list[Facts] = []
    for index in sorted(order, key=lambda i: -len(groups[i])):
        (val if 4 * len(val) + len(groups[index]) <= len(train) + 1 else train).extend(groups[index])
    return train, val


def group(facts: Sequence[Facts]) -> list[list[Facts]]:
    """Lines joined by the same pixels or the same text, directly or through others (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for fact in facts:
        parent[root(f"image {fact.digest}")] = root(f"text {fact.text}")
    groups: dict[str, list[Facts]] = defaultdict(list)
    for fact in facts:
        groups[root(f"text {fact.text}")].append(fact)
    return list(groups.values())


def draw_histograms(facts: Sequence[Facts], path: Path) -> None:
    """Histograms of lengths, widths and characters as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    (lengths, widths), (characters, spare) = figure.subplots(2, 2, width_ratios=(1, 1))
    lengths.hist([len(fact.text) for fact in facts], bins=40)
    lengths.set(xlabel="characters", ylabel="lines", title="length of labels")
    widths.hist([fact.width for fact in facts if fact.width], bins=40)
    widths.set(xlabel="pixels", ylabel="lines", title="width at the recogniser's height")
    spare.remove()
    counts = Counter(character for fact in facts for character in fact.text).most_common()
    characters.remove()
    ranks = figure.add_subplot(2, 1, 2)
    ranks.bar(np.arange(len(counts)), [count for _, count in counts])
    ranks.set(yscale="log", xlabel="characters by frequency", ylabel="occurrences")
    figure.savefig(path, dpi=100)
