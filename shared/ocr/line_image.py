"""Images of lines as the recogniser sees them: grey, one height, dark ink on light ground."""

import cv2
import numpy as np

from shared.data.images import ImageError, decode

HEIGHT = 40
MIN_WIDTH, MAX_WIDTH = 16, 4096


def prepare(image: np.ndarray, min_width: int = MIN_WIDTH) -> np.ndarray:
    """Any uint8 image (H, W), (H, W, 1) or RGB (H, W, 3) -> uint8 (HEIGHT, W'), contrast stretched.

    Raises ImageError for an image without pixels or too long to be one line.
    """
    grey = to_grey(image)
    height, width = grey.shape
    if not height or not width:
        raise ImageError("an image without pixels")
    wanted = max(min_width, round(width * HEIGHT / height))
    if wanted > MAX_WIDTH:
        raise ImageError(f"{width} x {height} pixels is too long for one line")
    shrinks = height > HEIGHT
    resized = cv2.resize(grey, (wanted, HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return stretch(resized)


def to_grey(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        return image
    return image[:, :, 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def stretch(grey: np.ndarray) -> np.ndarray:
    """Ground to 255 and ink to 0, whichever of the two is the darker one; even images become white.

    The ground is what most pixels are; low contrast and light-on-dark lines then look like any other.
    """
    low, ground, high = np.percentile(grey, (1, 50, 99))
    if high - low < 4:
        return np.full_like(grey, 255)
    span = grey.astype(np.float32)
    span = (high - span if ground - low < high - ground else span - low) * (255 / (high - low))
    return span.clip(0, 255).astype(np.uint8)


def read(data: bytes, name: str) -> np.ndarray:
    """The line in an image file's bytes; ImageError names what cannot be read."""
    try:
        return prepare(decode(data, name))
    except ImageError as error:
        raise ImageError(str(error) if name in str(error) else f"{name}: {error}") from error
