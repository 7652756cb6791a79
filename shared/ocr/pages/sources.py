"""The pages of a file: images, TIFFs of several pages, PDFs."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageOps, ImageSequence

from shared.data.decoding import readable_kind
from shared.errors import ImageError
from shared.ocr.lines.image import MAX_PIXELS, grey

DOTS_PER_INCH = 200
SMALLEST = 40  # dots an inch: a larger page than that allows is no document


def read_pages(path: str | Path) -> Iterator[np.ndarray]:
    """Grey uint8 (H, W) of each page of an image file or PDF; ImageError, which says why, for what cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    if data[:1024].lstrip()[:5] == b"%PDF-":
        yield from _pdf_pages(data, str(path))
    else:
        yield from _frames(data, str(path))


def _pdf_pages(data: bytes, name: str) -> Iterator[np.ndarray]:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        mend = (
            "save it without its password" if locked else "open and save it anew, or give its pages as images"
        )
        raise ImageError(f"{name}: a PDF that cannot be read ({error}): {mend}") from error
    with document:
        for number, page in enumerate(document, start=1):
            width, height = page.get_size()
            dots = min(DOTS_PER_INCH, 72 * (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
            if dots < SMALLEST:
                raise ImageError(f"{name}: page {number} of {width:.0f} x {height:.0f} points is too large")
            bitmap = page.render(scale=dots / 72, grayscale=True, fill_color=(255, 255, 255, 255))
            yield np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)


def _frames(data: bytes, name: str) -> Iterator[np.ndarray]:
    """Every page of a TIFF; of animations the first frame."""
    kind = readable_kind(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=[kind.decoder])
        frames = ImageSequence.Iterator(image) if image.format == "TIFF" else [image]
        for frame in frames:
            if frame.width * frame.height > MAX_PIXELS:
                raise ImageError(f"{name}: {frame.width} x {frame.height} pixels are too many")
            yield grey(ImageOps.exif_transpose(frame.copy()))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble on
        raise ImageError(f"{name}: not an image, or a damaged one ({error})") from error
