import io
import zlib

import numpy as np
import pytest
from PIL import Image

from shared.errors import ImageError
from shared.ocr.lines.fonts import draw, load
from shared.ocr.lines.image import FILLED, decode, prepare, read_line, stretch, trim
from tests.ocr.conftest import FONTS


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


@pytest.mark.parametrize("inverted", [False, True])
def test_bold_letters_that_fill_a_tight_crop_are_still_ink(inverted):
    page = np.full((40, 200), 240, np.uint8)
    page[7:-7, 8:-8] = 20  # two thirds of the crop
    line = stretch(255 - page if inverted else page)
    assert line[20, 100] == 0 and line[1, 1] == 255


def letters(size: int = 36) -> np.ndarray:
    return 255 - draw("ទឹក 123 សាលា", load(str(FONTS / "Siemreap_400Regular.ttf"), size))


@pytest.mark.parametrize("margin", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_margins_do_not_make_letters_small(margin, inverted):
    tight = letters()
    rows = round(margin * tight.shape[0])
    page = np.pad(tight, rows, constant_values=255)
    line = prepare(255 - page if inverted else page, 40)
    assert np.flatnonzero((line < 128).any(axis=1)).size > 40 / 1.4, "letters fill the height"
    assert abs(line.shape[1] - tight.shape[1] * 40 / tight.shape[0] / 1.15) < 16


def test_a_trimmed_line_is_not_trimmed_again():
    once = trim(np.pad(letters(), 40, constant_values=255))
    assert once.shape[0] < 60 and trim(once) is once


def test_what_fills_the_crop_or_is_everywhere_stays():
    tight = letters()
    page = np.pad(tight, round(0.1 * tight.shape[0]), constant_values=255)
    noise = np.random.default_rng(0).integers(0, 256, (90, 300)).astype(np.uint8)
    empty = np.full((50, 90), 200, np.uint8)
    assert tight.shape[0] > FILLED * page.shape[0]
    assert all(trim(image) is image for image in (tight, page, noise, empty))


def test_no_part_of_a_line_is_cut_off():
    """A thin mark high above the letters, such as a tone mark, is a part of the line."""
    page = np.full((120, 300), 230, np.uint8)
    page[60:80, 40:260:8] = 30
    page[44:50, 150:153] = 60
    kept = trim(page)
    assert kept.shape[0] < 60 and (kept < 200).sum() == (page < 200).sum()


def test_a_ruled_line_is_not_blown_up():
    page = np.full((60, 2000), 255, np.uint8)
    page[30:32, 20:-20] = 0
    assert trim(page) is page


def test_a_lone_stroke_does_not_stand_upright_afterwards():
    page = np.full((90, 90), 255, np.uint8)
    page[20:70, 44:46] = 0
    assert prepare(page, 40).shape[1] > 40


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
