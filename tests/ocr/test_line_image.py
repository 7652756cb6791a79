import io
import zlib

import numpy as np
import pytest
from PIL import Image

from shared.errors import ImageError
from shared.ocr.line_image import decode, prepare, read_line, stretch


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stroke(mode: str = "L", low: int = 0, high: int = 255) -> Image.Image:
    pixels = np.full((40, 120), high, np.uint8)
    pixels[10:30, 20:100] = low
    return Image.fromarray(pixels).convert(mode)


def looks_right(line: np.ndarray) -> bool:
    return line[16, 48] < 60 and line[2, 2] > 200


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "PNG"),
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("RGB", "WEBP"),
        ("RGBA", "PNG"),
    ],
)
def test_any_kind_of_image_is_read(mode, kind):
    assert looks_right(prepare(decode(encoded(stroke(mode), kind)), 32))


def test_sixteen_bits():
    deep = Image.fromarray(np.asarray(stroke()).astype(np.uint16) * 16)
    assert looks_right(prepare(decode(encoded(deep, "PNG")), 32))


def test_transparent_paper_is_white():
    ink = stroke()
    layer = Image.merge("RGBA", [Image.new("L", ink.size, 0)] * 3 + [Image.eval(ink, lambda v: 255 - v)])
    assert looks_right(prepare(decode(encoded(layer, "PNG")), 32))


def test_a_turned_photograph_is_turned_back():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = stroke().rotate(90, expand=True)
    assert decode(encoded(turned, "JPEG", exif=exif.tobytes())).shape == (40, 120)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (100, 140), (255, 0), (140, 100)])
def test_contrast_and_polarity_do_not_matter(low, high):
    line = stretch(np.asarray(stroke(low=low, high=high)))
    assert line[0, 0] == 255 and line[20, 60] == 0


def test_an_empty_page_is_white():
    assert (stretch(np.full((32, 50), 77, np.uint8)) == 255).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "empty file"), (b"hello", "not an image"), (encoded(stroke(), "PNG")[:60], "damaged")],
)
def test_what_is_no_image_is_refused(data, said):
    with pytest.raises(ImageError, match=said):
        decode(data)


@pytest.mark.parametrize(
    ("shape", "said"), [((2, 50), "hold no line"), ((200, 30), "upright"), ((4, 2000), "too long")]
)
def test_what_is_no_line_is_refused(shape, said):
    with pytest.raises(ImageError, match=said):
        prepare(np.zeros(shape, np.uint8), 32)


def test_a_small_line_becomes_wide_enough():
    assert prepare(np.zeros((12, 8), np.uint8), 32).shape == (32, 21)
    assert prepare(np.zeros((12, 4), np.uint8), 32).shape == (32, 16)


@pytest.mark.parametrize("side", [8000, 20000])
def test_a_bomb_is_refused_before_it_is_decoded(side, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    bomb = png_header(side)
    with pytest.raises(ImageError, match="pixels"):
        decode(bomb)


def png_header(side: int) -> bytes:
    """The first bytes of a PNG that claims to be `side` pixels square."""
    size = side.to_bytes(4, "big")
    chunk = b"IHDR" + size + size + bytes([8, 0, 0, 0, 0])
    data = (0).to_bytes(4, "big") + b"IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data
    )


def test_the_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png"):
        read_line(tmp_path / "gone.png", 32)
