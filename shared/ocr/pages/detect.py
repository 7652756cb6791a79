"""Where text stands in an image: the detector of PP-OCR that the package rapidocr carries, on ONNX Runtime.

Its network gives each pixel's probability of lying in the core of a line (differentiable binarisation, Liao et al.
2020, arXiv 1911.08947); cores are grown to the size of their lines here.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from shared.errors import UserError
from shared.ocr.pages.boxes import Box

MODEL = "models/PP-OCRv6_det_small.onnx"
LONGEST = 1472  # pixels of the longer side that the network sees
STEP = 32  # its sides are multiples of this
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
CORE, SURE = 0.3, 0.5  # probability of a pixel in a core; mean probability of a core that counts
GROWN = 1.6  # how far a core grows: its area over its perimeter, times this
LEAST = 3  # pixels of a core's shorter side
BORDER = 32  # white around an image, so that text may touch its edge


@lru_cache(maxsize=2)
def session(threads: int = 1) -> onnxruntime.InferenceSession:
    """The detector; UserError where the package that carries it is not installed."""
    package = importlib.util.find_spec("rapidocr")
    path = Path(package.origin).parent / MODEL if package and package.origin else Path(MODEL)
    if not path.is_file():
        raise UserError(
            "finding text on pages needs the package rapidocr", "mode", "pip install rapidocr==3.10.0"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def find_boxes(image: np.ndarray, longest: int = LONGEST, threads: int = 1) -> list[Box]:
    """Boxes of text in a grey or colour image uint8 (H, W) or (H, W, 3), in its pixels, in no order."""
    colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    edges = np.concatenate([colour[0], colour[-1], colour[:, 0], colour[:, -1]])
    ground = [int(value) for value in np.median(edges, axis=0)]
    colour = cv2.copyMakeBorder(colour, *[BORDER] * 4, cv2.BORDER_CONSTANT, value=ground)
    rows, columns = colour.shape[:2]
    scale = min(1.0, longest / max(rows, columns))
    size = [max(STEP, round(side * scale / STEP) * STEP) for side in (columns, rows)]
    small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)

    network = session(threads)
    values = ((small.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
    probability = network.run(None, {network.get_inputs()[0].name: values})[0][0, 0]
    steps = np.array([columns / probability.shape[1], rows / probability.shape[0]])
    return [_in_pixels(box, steps) for box in cores(probability)]


def cores(probability: np.ndarray) -> list[Box]:
    """Boxes on the map (H, W) of probabilities, grown from the cores of lines to whole lines."""
    mask = (probability > CORE).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        (x, y), (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < LEAST:
            continue
        left, top, columns, rows = cv2.boundingRect(contour)
        inside = np.zeros((rows, columns), np.uint8)
        cv2.fillPoly(inside, [contour - [left, top]], 1)
        score = cv2.mean(probability[top : top + rows, left : left + columns], inside)[0]
        if score < SURE:
            continue
        grown = 2 * GROWN * width * height / (2 * (width + height))
        if width < height:
            width, height, angle = height, width, angle - 90
        angle = (angle + 90) % 180 - 90
        found.append(Box(x, y, width + grown, height + grown, angle, float(score)))
    return found


def _in_pixels(box: Box, steps: np.ndarray) -> Box:
    """A box on the map in the pixels of the image, without its border."""
    scaled = (box.corners * steps - BORDER).astype(np.float32)
    across, down = scaled[1] - scaled[0], scaled[3] - scaled[0]
    x, y = scaled.mean(axis=0)
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    return Box(float(x), float(y), float(np.hypot(*across)), float(np.hypot(*down)), angle, box.score)
