"""Reads line images with an exported network: ONNX Runtime only, no training framework."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from shared.errors import UserError
from shared.ocr.lines.batch import frames, stack
from shared.ocr.script.charset import Charset
from shared.ocr.script.ctc import label_score
from shared.ocr.script.letter_model import decoder

PIECE = 3200  # pixels: longer lines are cut between letters and read piece by piece
# Columns of a batch: the attention's memory grows with the square of a line's width.
AREA = 10_240
MARGIN = 32  # pixels behind a line, more than convolutions reach: what is read must not depend on the rest of its batch


class Reading(NamedTuple):
    """Text of a line, and the mean probability of its characters."""

    text: str
    score: float


class Reader:
    """`model` is an exported file or its bytes: inputs `image` uint8 (N, 1, height, W) and `width` (N,), output logits.

    The charset travels in the file's metadata, as does the name of its language; `language` is that name, or the YAML
    file in which the language stands: UserError if the network was made for another. `beam`: 1 for the best path, or
    the hypotheses of a search with the language model of its words.
    """

    def __init__(
        self, model: str | Path | bytes, threads: int = 1, beam: int = 1, language: str = ""
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        source = model if isinstance(model, bytes) else str(model)
        try:
            self.session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
            facts = json.loads(self.session.get_modelmeta().custom_metadata_map["trainyard"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            where = "checkpoint" if isinstance(model, bytes) else str(model)
            raise UserError("not an exported recogniser", where, "make one with export.py") from error
        # `script` in files of before, whose languages have the same names
        made_for = facts.get("language", facts.get("script"))
        if language and Path(language).stem != made_for:
            raise UserError(f"{model} reads {made_for}", "language", f"say language={made_for}")
        self.charset, self.height = Charset(facts["characters"], language or made_for), facts["height"]
        self.decode = decoder(self.charset, beam)

    def read(self, lines: Sequence[np.ndarray], batch_size: int = 16) -> list[Reading]:
        """Prepared lines, uint8 (height, W) each, in any order of widths."""
        pieces = [(index, piece) for index, line in enumerate(lines) for piece in cut(line)]
        read: dict[int, tuple[str, float]] = {}
        for chosen in batches([piece.shape[1] for _, piece in pieces], batch_size):
            read |= zip(chosen, self._read_batch([pieces[i][1] for i in chosen]), strict=True)
        parts: list[list[tuple[str, float]]] = [[] for _ in lines]
        for i, (index, _) in enumerate(pieces):
            parts[index].append(read[i])
        return [join(each) for each in parts]

    def _read_batch(self, lines: list[np.ndarray]) -> list[tuple[str, float]]:
        widths = np.array([line.shape[1] for line in lines], np.int64)
        logits = self.session.run(None, {"image": stack(lines, MARGIN), "width": widths})[0]
        found = [self.decode(scores[: frames(width)]) for scores, width in zip(logits, widths, strict=True)]
        scores = [label_score(s[: frames(w)], c) for s, w, (c, _) in zip(logits, widths, found, strict=True)]
        return [(self.charset.decode(c), score) for (c, _), score in zip(found, scores, strict=True)]


def batches(widths: Sequence[int], size: int) -> list[list[int]]:
    """Indices of lines of like width, at most `size` of them and AREA columns together (or one line alone)."""
    found: list[list[int]] = []
    for index in sorted(range(len(widths)), key=widths.__getitem__):
        last = found[-1] if found else []
        if not last or len(last) == size or (len(last) + 1) * widths[index] > AREA:
            found.append([])
        found[-1].append(index)
    return found


def cut(line: np.ndarray) -> list[np.ndarray]:
    """A line longer than PIECE in pieces, cut where there is least ink, in the widest such gap."""
    if line.shape[1] <= PIECE:
        return [line]
    ink = (255.0 - line[:, PIECE // 2 : PIECE]).sum(0)
    clean = ink <= ink.min() + 255
    runs = np.split(np.arange(len(clean)), np.flatnonzero(np.diff(clean)) + 1)
    widest = max((run for run in runs if clean[run[0]]), key=len)
    at = PIECE // 2 + int(widest[len(widest) // 2])
    return [line[:, :at], *cut(line[:, at:])]


def join(parts: Sequence[tuple[str, float]]) -> Reading:
    texts = [text for text, _ in parts]
    total = sum(len(text) for text in texts)
    score = sum(score * len(text) for text, score in parts) / total if total else 0.0
    return Reading("".join(texts), score)
