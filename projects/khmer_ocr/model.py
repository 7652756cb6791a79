"""The network of this project: the line recogniser that thai_ocr has in Paddle."""

from typing import Any

from shared.nets.line_recogniser import CLASSIFIER, LineRecogniser, stretched
from shared.nets.weights import load_weights


def recogniser(
    num_classes: int, height: int, characters: str = "", weights: str | None = None, **sizes: Any
) -> LineRecogniser:
    """A LineRecogniser, fresh or from a file; a classifier of another charset stays fresh, and is reported.

    `weights` of another height fit, too. `characters` are those of the classes, which the weights need not know.
    """
    model = LineRecogniser(num_classes, height, **sizes)
    if weights is not None:
        load_weights(model, weights, CLASSIFIER, adapt=stretched(model))
    return model
