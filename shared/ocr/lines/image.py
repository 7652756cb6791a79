"""Images of lines as the recogniser sees them: grey, one height, dark ink on light ground."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from shared.errors import ImageError

MIN_WIDTH, MAX_WIDTH = 16, 8192
MAX_PIXELS = 50_000_000  # no line crop is larger; a decoder allocates what a header claims
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "BMP",
    "TIFF",
    "GIF",
    "PPM",
)  # Pillow runs Ghostscript for some of the others
MIN_SIDE = 3
COARSE = 64  # rows in which ink is looked for
# Where ink ends, brightness changes by more than SHARP times what its SHARPEST quantile is, and than FAINT grey levels.
FAINT, SHARP, SHARPEST = 8.0, 0.4, 0.995
FLATTEST = 100  # widths over height: no line of letters is so long
FILLED = 0.8  # margins are left alone if letters take more than this share of the height
MARGIN = 12  # what is left of a wide margin: the letters' height over this
EDGE = 8  # one in so many rows, and as many columns, at each side of a line are its edges
TALLEST = 3  # height over width: one letter with its subscripts may stand tall, a line does not


def read_line(path: str | Path, height: int) -> np.ndarray:
    """The line in an image file, as `prepare` leaves it; ImageError names what cannot be read."""
    try:
        return prepare(decode(Path(path).read_bytes()), height)
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image file's bytes -> uint8 (H, W): any depth, CMYK, palettes; transparency becomes white, EXIF turns it."""
    if not data:
        raise ImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is stricter
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > max_pixels:
            raise ImageError(f"{image.width} x {image.height} pixels are too many")
        return grey(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("far too many pixels") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble on
        raise ImageError(f"not an image, or a damaged one ({type(error).__name__})") from error


def grey(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        deep = np.asarray(image, np.float64)
        low, high = deep.min(), deep.max()
        if not np.isfinite(high - low):
            raise ImageError("pixels that are no numbers")
        return ((deep - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = on_paper(image.convert("RGBA"))
    return np.asarray(image.convert("RGB" if image.mode == "CMYK" else image.mode).convert("L"))


def on_paper(image: Image.Image) -> Image.Image:
    """An image with transparent parts on white, or on black if its ink is light."""
    shade, opacity = (
        np.asarray(channel, np.float64) for channel in (image.convert("L"), image.getchannel("A"))
    )
    light = opacity.sum() > 0 and opacity.min() < 128 and np.average(shade, weights=opacity) > 160
    return Image.alpha_composite(Image.new("RGBA", image.size, "black" if light else "white"), image)


def prepare(image: np.ndarray, height: int, min_width: int = MIN_WIDTH) -> np.ndarray:
    """A grey uint8 image (H, W) -> uint8 (`height`, W'), wide margins cut off, contrast stretched, at least `min_width`
    wide.

    Raises ImageError for what is too small, too long or too tall to be one line.
    """
    rows, columns = image.shape
    if min(rows, columns) < MIN_SIDE:
        raise ImageError(f"{columns} x {rows} pixels hold no line")
    if rows > TALLEST * columns:
        raise ImageError(f"{columns} x {rows} pixels stand upright: turn the line by 90 degrees")
    image = trim(image)
    rows, columns = image.shape
    width = max(min_width, round(columns * height / rows))
    if width > MAX_WIDTH:
        raise ImageError(f"{columns} x {rows} pixels are too long for one line")
    return stretch(resize(image, width, height))


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Averaged where it becomes smaller, cubic where it becomes larger."""
    interpolation = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)


def trim(image: np.ndarray) -> np.ndarray:
    """The image without wide margins: letters half as high as the crop would be read at half the resolution.

    Ink is where brightness changes nearly as sharply as it ever does in the image. In doubt, as with noise all over,
    nothing is cut; nor is it where letters fill most of the height, or where all there is looks like a ruled line.
    """
    rows, columns = image.shape
    scale = min(1.0, COARSE / rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    coarse = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (3, 3), 0)
    slope = cv2.morphologyEx(coarse, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    ink = slope > max(FAINT, SHARP * np.quantile(slope, SHARPEST))
    if not ink.any():
        return image
    top, bottom = extent(ink.any(axis=1), rows)
    left, right = extent(ink.any(axis=0), columns)
    letters = bottom - top
    if letters > FILLED * rows or right - left > FLATTEST * letters:
        return image
    margin = letters // MARGIN
    top, bottom = max(0, top - margin), min(rows, bottom + margin)
    if right - left >= letters:  # else a stroke or two, which would then stand upright
        image = image[:, max(0, left - margin) : right + margin]
    return trim(image[top:bottom])  # once more, now that fewer pixels are one of the coarse ones


def extent(marked: np.ndarray, pixels: int) -> tuple[int, int]:
    """From the first to behind the last of the marks, which stand for `pixels` pixels."""
    found, scale = np.flatnonzero(marked), pixels / len(marked)
    return int(found[0] * scale), min(pixels, int(np.ceil((found[-1] + 1) * scale)))


def stretch(line: np.ndarray) -> np.ndarray:
    """Ground to 255 and ink to 0, whichever of the two is the darker one; an even image becomes white.

    The ground is what most pixels near the edges are: bold letters can fill more than half of a tight crop. Low
    contrast and light-on-dark lines then look like any other.
    """
    low, high = np.percentile(line, (1, 99))
    if high - low < 4:
        return np.full_like(line, 255)
    edge = max(1, line.shape[0] // EDGE)
    edges = np.ones(line.shape, bool)
    edges[edge:-edge, edge:-edge] = False
    ground = np.median(line[edges])
    span = line.astype(np.float32)
    span = (high - span if ground - low < high - ground else span - low) * (255 / (high - low))
    return span.clip(0, 255).astype(np.uint8)
