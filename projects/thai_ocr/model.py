"""The network of this project: the line recogniser that khmer_ocr has in torch."""

from typing import Any

from projects.thai_ocr.weights import load_weights
from shared.paddle.nets.line_recogniser import CLASSIFIER, LineRecogniser


def recogniser(
    num_classes: int, height: int, characters: str, weights: str | None = None, **sizes: Any
) -> LineRecogniser:
    """A LineRecogniser for `characters`, fresh or with the weights of a file, as `load_weights` says."""
    model = LineRecogniser(num_classes, height, **sizes)
    if weights is not None:
        load_weights(model, weights, characters, CLASSIFIER)
    return model
