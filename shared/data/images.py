"""Crops, augmentation and encoding of images in uint8: the only module that imports albumentations.

Pixels are RGB, height x width x channel.
"""

import importlib
import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from shared.data.decoding import decode
from shared.errors import ImageError as ImageError  # what `decode` raises
from shared.errors import UserError

JPEG = b"\xff\xd8\xff"
STANDARD_LUMINANCE = 3688  # sum of the table in annex K.1 of ITU-T T.81
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for a newer version
sys.modules.setdefault(
    "albumentations.pytorch", None
)  # an optional part, whose import would bring torch along

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import simplejpeg  # noqa: E402
from PIL import Image  # noqa: E402

cv2.setNumThreads(0)  # the loader's workers are the parallelism


class Box(NamedTuple):
    """A region in pixels."""

    top: int
    left: int
    height: int
    width: int


def read_crop(data: bytes, name: str, choose_box: Callable[[int, int], Box], size: int) -> np.ndarray:
    """The region `choose_box(height, width)` of an image, at size x size pixels: uint8 (size, size, 3).

    The region is chosen before decoding: where it is at least twice as large as needed, a JPEG is
    decoded at a half, a quarter or an eighth, which is faster and does not alias.
    """
    if found := jpeg_size(data):
        height, width = found
        box = choose_box(height, width)
        shrink = min(box.height, box.width) // size
        image = decode(data, name, reduction=next((r for r in (8, 4, 2) if shrink >= r), 1))
    else:
        image = decode(data, name)
        height, width = image.shape[:2]
        box = choose_box(height, width)
    rows, columns = image.shape[0] / height, image.shape[1] / width
    top, bottom = round(box.top * rows), round((box.top + box.height) * rows)
    left, right = round(box.left * columns), round((box.left + box.width) * columns)
    return resize(image[top : max(bottom, top + 1), left : max(right, left + 1)], size)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width by a JPEG's header; None for another file, or a header that cannot be read."""
    if not data.startswith(JPEG):
        return None
    try:
        return simplejpeg.decode_jpeg_header(data)[:2]
    except ValueError:
        return None


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """To size x size; bilinear, or the mean over each pixel's area where bilinear would skip pixels."""
    shrink = min(image.shape[:2]) / size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrink >= 2 else cv2.INTER_LINEAR)


class Augment:
    """albumentations transforms by name, in order, such as {"HorizontalFlip": {"p": 0.5}}.

    One's own goes by its dotted name, {"projects.mine.rings.Rings": {"p": 0.5}}, and draws from its `py_random` and
    `random_generator` alone. By itself albumentations 2.0.8 repeats its draws in every worker and every epoch; here
    the caller's generator decides each of them.
    """

    def __init__(self, transforms: Mapping[str, Mapping[str, Any]], key: str = "data.augment") -> None:
        self.compose = A.Compose([build_transform(*each, key) for each in transforms.items()])

    def __call__(self, image: np.ndarray, rng: Generator) -> np.ndarray:
        self._obey(rng)
        return self.compose(image=image)["image"]

    def clip(self, frames: np.ndarray, rng: Generator) -> np.ndarray:
        """All frames (T, H, W, 3) of a clip by the same draw."""
        self._obey(rng)
        return self.compose(images=frames)["images"]

    def _obey(self, rng: Generator) -> None:
        self.compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))


def build_transform(name: str, options: Mapping[str, Any], key: str) -> A.BasicTransform:
    """A transform of albumentations, or one's own by its dotted name; UserError for what is none."""
    where = f"{key}.{name}"
    kind = own_transform(name, where) if "." in name else getattr(A, name, None)
    if not (isinstance(kind, type) and issubclass(kind, A.BasicTransform)):
        if "." in name:
            raise UserError(
                f"{name} is no transform", where, "derive it from albumentations.ImageOnlyTransform"
            )
        mend = "use a name from its documentation, or the dotted name of your own class"
        raise UserError(f"albumentations has no transform {name}", where, mend)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # unknown options are only warned of
            return kind(**options)
    except (TypeError, ValueError, UserWarning) as error:
        raise UserError(" ".join(str(error).split()), where, "correct its options") from error


def own_transform(name: str, where: str) -> Any:
    """What a dotted name means; UserError if it cannot be imported."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        mend = "write it in a module below projects/, or put its folder on PYTHONPATH"
        raise UserError(f"{name} cannot be imported ({error})", where, mend) from error


def shrink_file(data: bytes, name: str, short_side: int | None, quality: int | None) -> bytes:
    """An image file with its shorter side at `short_side` pixels; never enlarged.

    `quality` is that of a JPEG (1-100); None keeps the file's own: a JPEG stays as fine or coarse as it is, all else
    becomes PNG, and a file that is small enough stays as it is.
    """
    image, kept = decode(data, name), jpeg_quality(data)
    shrink = min(image.shape[:2]) / short_side if short_side else 1
    if shrink <= 1 and quality is None:
        return data
    if shrink > 1:
        height, width = (round(side / shrink) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if quality or kept:
        return encode_jpeg(image, quality or kept)
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def jpeg_quality(data: bytes) -> int | None:
    """The quality (1-100) whose luminance table is as coarse as this JPEG's; None if it is no JPEG.

    libjpeg scales its standard table by 200 - 2 quality percent, or 5000 / quality below 50.
    """
    if not data.startswith(JPEG):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as file:
            coarse = 100 * sum(file.quantization[0]) / STANDARD_LUMINANCE
    except (OSError, KeyError, AttributeError):
        return 95
    return round(min(100, max(1, (200 - coarse) / 2 if coarse <= 100 else 5000 / coarse)))


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """uint8 RGB (H, W, 3), or grey (H, W, 1) -> JPEG with chroma at half resolution, as cameras write it."""
    kind = (
        {"colorspace": "GRAY", "colorsubsampling": "Gray"}
        if image.shape[2] == 1
        else {"colorsubsampling": "420"}
    )
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, **kind)
