"""Image files as uint8 RGB: each kind by the one decoder meant for it, chosen by content, never by suffix.

JPEGs go through libjpeg-turbo, all else through Pillow. EXIF orientation is ignored, as official ImageNet weights
expect (a TIFF's is part of its format, and obeyed); transparency is dropped; of several frames or pages the first is
read.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from shared.data.kinds import Kind, kind_of
from shared.errors import ImageError

MAX_PIXELS = 2**28  # a decoder allocates what a header claims; no photograph is larger
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras, scanners and detectors give


class Remark(UserWarning):
    """What is odd about a file that was read all the same; the text names the file."""


@contextmanager
def remarks() -> Iterator[list[str]]:
    """Collects the remarks that are made inside."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Remark)
        yield said
    said += [str(each.message) for each in caught if issubclass(each.category, Remark)]


def decode(data: bytes, name: str, reduction: int = 1) -> np.ndarray:
    """Any image file's content as uint8 RGB (H, W, 3); JPEGs at 1/`reduction` (1, 2, 4, 8) of their size.

    Raises ImageError, which says what it is, for what is empty, cut short, huge, damaged or of a kind that is not
    read. What is rotten and yet readable gives a Remark, as do the frames that are left out.
    """
    kind = readable_kind(data, name)
    if kind.decoder != "JPEG":
        return by_pillow(data, name, kind)
    try:
        return by_turbo(data, name, reduction)
    except ValueError as error:
        if "Premature end" in str(error):
            raise ImageError(f"{name}: the file is cut short") from error
        image = by_pillow(data, name, kind)
        if "colorspace" not in str(error):  # CMYK is no flaw
            warnings.warn(f"{name}: rotten, read as far as it goes ({error})", Remark, stacklevel=2)
        return image


def readable_kind(data: bytes, name: str) -> Kind:
    """What the content is; ImageError if that is not read here, which says what to do."""
    if not data:
        raise ImageError(f"{name}: empty file")
    kind = kind_of(data, name)
    if kind.decoder is None:
        raise ImageError(f"{name}: is {kind.name}; {kind.mend}")
    return kind


def by_turbo(data: bytes, name: str, reduction: int) -> np.ndarray:
    """A JPEG; ValueError for whatever libjpeg warns of, and for other colours than grey and YCbCr."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    refuse_huge(width, height, name)
    if colours in ("CMYK", "YCCK"):
        raise ValueError(f"colorspace {colours}")
    return simplejpeg.decode_jpeg(
        data,
        fastdct=True,
        fastupsample=True,
        min_height=-(-height // reduction),
        min_width=-(-width // reduction),
        min_factor=reduction,
    )


def refuse_huge(width: int, height: int, name: str) -> None:
    if height * width > MAX_PIXELS:
        raise ImageError(f"{name}: {width} x {height} pixels are more than {MAX_PIXELS:,}")


def by_pillow(data: bytes, name: str, kind: Kind) -> np.ndarray:
    """The first frame of a file of this kind; ImageError gives Pillow's own words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, for which `refuse_huge` is, and of metadata
            warnings.simplefilter("always", Remark)
            image = Image.open(io.BytesIO(data), formats=[kind.decoder])
            refuse_huge(image.width, image.height, name)
            deep = deep_colours(data, image)
            pixels = to_rgb(image, name) if deep is None else eight_bits(deep, name)
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: has far too many pixels") from error
    except ImageError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes it stumble on
        raise ImageError(f"{name}: {complaint(error, kind)}") from error
    if kind.decoder != "JPEG" and has_more(image):
        warnings.warn(f"{name}: has more than one frame or page, the first is used", Remark, stacklevel=2)
    return pixels


def complaint(error: Exception, kind: Kind) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower() or "Not enough" in text:
        return f"the file is cut short ({kind.name})"
    if isinstance(error, Image.UnidentifiedImageError):
        text = "its header is wrong"
    return f"{kind.name} that cannot be read: {text or type(error).__name__}"


def has_more(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # what follows the first frame is damaged, but there
        return True


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """Pixels of any mode as uint8 (H, W, 3)."""
    if image.mode.startswith("I"):
        return eight_bits(np.asarray(image), name)
    if image.mode == "F":
        return from_floats(np.asarray(image), name)
    if image.mode in ("La", "RGBa"):  # colours multiplied by their opacity
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    return np.array(image.convert("RGB"))


def deep_colours(data: bytes, image: Image.Image) -> np.ndarray | None:
    """RGB of more than 8 bits (H, W, 3), of which Pillow would keep the upper eight; else None."""
    png = image.format == "PNG" and data[24] == 16  # the bit depth in its header
    tiff = image.format == "TIFF" and 16 in image.tag_v2.get(258, ())  # BitsPerSample
    pnm = image.format == "PPM" and image.tile[0].args[-1] == 2**16 - 1  # the largest value in its header
    if image.mode.startswith("I") or not (png or tiff or pnm):
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        return None
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return pixels[:, :, 2::-1] if pixels.shape[2] >= 3 else pixels[:, :, 0]


def eight_bits(samples: np.ndarray, name: str) -> np.ndarray:
    """Whole numbers, (H, W) or (H, W, 3), as uint8 (H, W, 3): by the fewest of DEPTHS that hold the largest.

    Detectors store 10, 12 or 14 bits in 16, which no header says.
    """
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high >= 2**16:
        raise ImageError(f"{name}: holds numbers from {low} to {high}, no brightness; {Kind('').mend}")
    depth = next(bits for bits in DEPTHS if high < 2**bits)
    if depth < 16:
        warnings.warn(f"{name}: holds {depth} bits in more, scaled as {depth}", Remark, stacklevel=2)
    pixels = np.rint(samples * (255 / (2**depth - 1))).astype(np.uint8)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def from_floats(samples: np.ndarray, name: str) -> np.ndarray:
    """Grey (H, W) from 0 to 1, to 255 or to 65535."""
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high < 2**16):  # NaN fails, too
        raise ImageError(f"{name}: holds numbers from {low:g} to {high:g}, no brightness; {Kind('').mend}")
    if high > 255:
        return eight_bits(np.rint(samples).astype(np.int64), name)
    grey = np.rint(samples * (255 if high <= 1 else 1)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
