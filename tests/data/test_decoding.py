"""Every kind of file: read as Pillow reads it, or named for what it is; no decoder sees another kind."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.data.decoding import decode, remarks
from shared.errors import ImageError

FILES = Path(__file__).parent / "files"
READ_CASES = {
    "photo.jfif": [],
    "photo.gif": [],
    "photo.avif": [],
    "photo.webp": [],
    "photo.tga": [],
    "photo_lzma.tif": [],
    "animated.gif": ["more than one frame"],
    "animated.webp": ["more than one frame"],
    "twelve_bits_in_sixteen.tif": ["12 bits"],
}


def read(data, name="x"):
    """Pixels and remarks."""
    with remarks() as said:
        pixels = decode(data, name)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    return pixels, said


@pytest.fixture
def small(photo):
    return photo[:72, :96]


def difference(first, second):
    return np.abs(first.astype(int) - second.astype(int)).mean()


@pytest.mark.parametrize("name", READ_CASES)
def test_one_picture_in_every_format_looks_the_same(name):
    reference = decode((FILES / "photo.jfif").read_bytes(), "photo.jfif")
    pixels, said = read((FILES / name).read_bytes(), name)
    like = pixels if pixels.shape == reference.shape else None
    assert like is not None and (name.startswith("twelve") or difference(like, reference) < 12)
    assert len(said) == len(READ_CASES[name]) and all(name in text for text in said)
    assert all(wanted in text for wanted, text in zip(READ_CASES[name], said, strict=True))


@pytest.mark.parametrize("name", ["cut.jp2", "jpeg2000_named.jpg", "photo.jp2"])
def test_jpeg_2000_reaches_no_decoder(name):
    with pytest.raises(ImageError, match=rf"{name}: is JPEG 2000; convert it"):
        decode((FILES / name).read_bytes(), name)


def test_rotten_jpegs_are_read_and_named():
    pixels, said = read((FILES / "rotten.jpg").read_bytes(), "rotten.jpg")
    assert pixels.shape == (300, 400, 3) and len(said) == 1
    assert said[0].startswith("rotten.jpg: rotten, read as far as it goes (Corrupt JPEG data")


KINDS = ("PNG", "TIFF", "WEBP", "GIF", "BMP", "TGA", "PPM", "AVIF", "JPEG", "MPO")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16")


def can_write(mode, kind):
    try:
        Image.new("RGB", (8, 8)).convert(mode).save(io.BytesIO(), kind)
    except (OSError, ValueError):
        return False
    return True


@pytest.mark.parametrize("mode, kind", [(m, k) for m in MODES for k in KINDS if can_write(m, k)])
def test_every_mode_of_every_format_is_read_as_pillow_reads_it(small, mode, kind):
    image, buffer = Image.fromarray(small).convert(mode), io.BytesIO()
    image.save(buffer, kind)
    pixels, said = read(buffer.getvalue(), f"x.{kind.lower()}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = Image.open(io.BytesIO(buffer.getvalue()))
        deep = reference.mode[0] in "IF"
        expected = image.convert("L").convert("RGB") if deep else reference.convert("RGB")
    assert difference(pixels, np.asarray(expected)) < 3
    assert said == [] or deep


def tiff(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("coding", ["tiff_lzw", "tiff_deflate", "packbits", "tiff_lzma", "zstd", "jpeg"])
def test_tiffs_of_every_compression_are_read(small, coding):
    assert difference(read(tiff(small, compression=coding))[0], small) < 4


def test_of_several_pages_the_first_is_read_and_that_is_said(small):
    first, second = Image.fromarray(small), Image.fromarray(255 - small)
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    pixels, said = read(buffer.getvalue(), "pages.tif")
    assert difference(pixels, small) == 0 and "pages.tif: has more than one frame or page" in said[0]


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "ending, colours", [*((e, c) for e in (".png", ".tiff") for c in (1, 3, 4)), (".pgm", 1), (".ppm", 3)]
)
def test_few_bits_in_a_deep_file_do_not_become_black(small, ending, depth, colours):
    grey = small[:, :, :1].astype(np.uint16)
    deep = np.repeat(np.rint(grey / 255 * (2**depth - 1)).astype(np.uint16), colours, axis=2)
    pixels, said = read(cv2.imencode(ending, deep)[1].tobytes())
    assert np.abs(pixels.astype(int) - np.repeat(grey, 3, axis=2)).max() <= 1
    assert bool(said) == (depth < 16)


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_order_of_bytes_is_read(small, order):
    grey = (small[:, :, 0].astype(np.uint16) * 257).astype(f"{order}u2")
    raw = {"<": ("I;16", b"II*\0"), ">": ("I;16B", b"MM\0*")}[order]
    buffer = io.BytesIO()
    Image.frombytes(raw[0], grey.shape[::-1], grey.tobytes()).save(buffer, "TIFF")
    assert buffer.getvalue()[:4] == raw[1]
    assert difference(read(buffer.getvalue())[0][:, :, 0], small[:, :, 0]) == 0


@pytest.mark.parametrize("scale", [1 / 255, 1, 257])
def test_floats_in_the_usual_ranges_are_read(small, scale):
    pixels, _ = read(tiff((small[:, :, 0].astype(float) * scale).astype(np.float32)))
    assert np.abs(pixels[:, :, 0].astype(int) - small[:, :, 0]).max() <= 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -3.0, 1e9])
def test_floats_that_are_no_brightness_are_refused_with_their_range(small, odd):
    samples = small[:, :, 0].astype(np.float32)
    samples[5, 5] = odd
    with pytest.raises(ImageError, match=r"x\.tif: holds numbers from .* no brightness"):
        decode(tiff(samples), "x.tif")


def test_ycck_and_adobe_cmyk_are_not_inverted(small):
    buffer = io.BytesIO()
    Image.fromarray(small).convert("CMYK").save(buffer, "JPEG", quality=95)
    pixels, said = read(buffer.getvalue())
    assert difference(pixels, small) < 12 and said == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_orientation_and_transparency_are_left_alone(small, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    mode = "RGB" if kind == "JPEG" else "RGBA"
    image = Image.fromarray(small).convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    assert difference(read(buffer.getvalue())[0], small) < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "AVIF", "PPM", "TGA"])
def test_files_that_are_cut_short_are_refused(encoded, kind):
    data = encoded(kind=kind)
    with pytest.raises(ImageError, match=r"x\.tga: "):
        decode(data[: len(data) // 2], "x.tga")


FUZZ = """
import random, sys
from pathlib import Path
from shared.data.decoding import decode, remarks
from shared.errors import ImageError
files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
draw = random.Random(5)
for turn in range(600):
    data = bytearray(draw.choice(files))
    for _ in range(draw.choice((1, 4, 30))):
        data[draw.randrange(2, draw.choice((100, len(data))))] = draw.randrange(256)
    try:
        with remarks():
            decode(bytes(data), "x")
    except ImageError:
        pass
"""


def test_damaged_bytes_neither_crash_the_process_nor_raise_anything_else():
    done = subprocess.run([sys.executable, "-c", FUZZ, str(FILES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
