"""Rendered pages are read whole and in order; what holds no text gives none."""

import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from shared.config.root import ROOT
from shared.errors import ImageError
from shared.ocr.lines.image import decode, grey
from shared.ocr.pages.layouts import KINDS, LAYOUTS, Made, render, turn
from shared.ocr.pages.pdf import as_pdf
from shared.ocr.pages.predict import predict
from shared.ocr.pages.read_page import read_image
from shared.ocr.pages.sources import read_pages
from shared.ocr.pages.written import as_alto, as_hocr
from shared.ocr.reading.reader import Reader
from shared.ocr.script.language import find_language
from shared.ocr.script.normalise import fold

LANGUAGES = ("khmer", "thai")


@pytest.fixture(scope="module")
def readers():
    return {name: Reader(find_language(name).starter, beam=8) for name in LANGUAGES}


def error_rate(made: Made, text: str, language: str) -> float:
    expected, found = ("".join(fold(t, language).split()) for t in ("\n".join(made.lines), text))
    return Levenshtein.distance(expected, found) / len(expected)


KIND_OF = dict(zip(LAYOUTS, [*KINDS, *KINDS], strict=False))
SHORT = [("two_columns", "khmer"), ("headings", "thai"), ("table", "khmer")]
LONG = [(layout, name) for layout in LAYOUTS for name in LANGUAGES if (layout, name) not in SHORT]


@pytest.mark.parametrize(
    ("layout", "language"), [*SHORT, *(pytest.param(*each, marks=pytest.mark.slow) for each in LONG)]
)
def test_pages_are_read_in_order(layout, language, readers):
    kind = KIND_OF[layout]
    made = render(layout, language, kind, seed=1)
    page = read_image(made.image, readers[language])
    assert page.mode == "page" and page.turned == 0
    assert abs(len(page.lines) - len(made.lines)) <= 1
    assert error_rate(made, page.text, language) < 0.02
    assert page.score > 0.9


@pytest.fixture(scope="module")
def made():
    return render("headings", "thai", seed=3)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_page_is_set_upright(quarters, made, readers):
    page = read_image(np.rot90(made.image, quarters).copy(), readers["thai"])
    assert page.turned == 90 * quarters
    assert page.image.shape == made.image.shape
    assert error_rate(made, page.text, "thai") < 0.02


@pytest.mark.parametrize("degrees", [-9, 4])
def test_skew_and_dark_mode(degrees, made, readers):
    page = read_image(255 - turn(made.image, degrees, 255), readers["thai"])
    assert error_rate(made, page.text, "thai") < 0.02


def test_nothing_is_invented(readers):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (600, 500)).astype(np.float32)
    clouds = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), None, 0, 255, cv2.NORM_MINMAX)
    empty = {
        "white": np.full((600, 500), 255),
        "black line": np.zeros((60, 600)),
        "paper": 240 + rng.normal(0, 4, (60, 600)),
        "noise": noise,
        "clouds": clouds,
        "shade": np.tile(np.linspace(0, 255, 500), (600, 1)),
    }
    for name, image in empty.items():
        for language, reader in readers.items():
            page = read_image(np.clip(image, 0, 255).astype(np.uint8), reader)
            assert (page.text, page.score) == ("", 0.0), (name, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_image_of_one_line_stays_one(language, readers):
    for path in sorted((ROOT / "docs/samples" / language).glob("line_0[0-5].png")):
        image = decode(path.read_bytes())
        alone, found = (read_image(image, readers[language], mode) for mode in ("line", "auto"))
        assert found.mode == "line" and found.score >= alone.score
        if found.lines and abs(found.lines[0].box.angle) == 0:
            assert found.text == alone.text


def test_a_turned_line_is_read(readers):
    image = decode((ROOT / "docs/samples/thai/line_00.png").read_bytes())
    padded = cv2.copyMakeBorder(image, 30, 30, 30, 30, cv2.BORDER_REPLICATE)
    straight = read_image(padded, readers["thai"]).text
    for degrees in (-5, 2, 5):
        turned = read_image(turn(padded, degrees, int(np.median(image))), readers["thai"])
        assert turned.mode == "line"
        assert Levenshtein.normalized_distance(turned.text, straight) < 0.1


def test_light_ink_on_transparency_is_seen():
    ink = np.zeros((40, 200, 4), np.uint8)
    ink[10:30, 20:180] = 255
    seen = grey(Image.fromarray(ink, "RGBA"))
    assert seen[20, 100] == 255 and seen[0, 0] == 0
    dark = ink.copy()
    dark[..., :3] = 0
    assert grey(Image.fromarray(dark, "RGBA"))[0, 0] == 255


def test_files_of_several_pages(tmp_path):
    frames = [Image.fromarray(np.full((80, 60), shade, np.uint8)) for shade in (200, 100)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "two.pdf", save_all=True, append_images=frames[1:])
    assert [int(page.mean()) for page in read_pages(tmp_path / "two.tif")] == [200, 100]
    assert [round(float(page.mean()), -1) for page in read_pages(tmp_path / "two.pdf")] == [200, 100]


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7 cut", b"hello world", b"\x89PNG\r\n\x1a\n", b"II*\x00\xff\xff"]
)
def test_what_is_no_page_is_named(content, tmp_path):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.png"):
        list(read_pages(tmp_path / "x.png"))


def test_every_format_holds_the_text(made, readers, tmp_path, capsys):
    page = read_image(made.image, readers["thai"])
    with pypdfium2.PdfDocument(as_pdf([page, page], find_language("thai").page_font)) as document:
        assert len(document) == 2
        found = document[1].get_textpage().get_text_range()
    assert all(line.text in found for line in page.lines)

    spans = ElementTree.fromstring(as_hocr([page], "a & b", "th").split("\n", 1)[1])
    assert [each.text for each in spans.iter() if each.get("class") == "ocr_line"] == [
        line.text for line in page.lines
    ]
    rows = ElementTree.fromstring(as_alto([page], "a & b", "th").split("\n", 1)[1])
    assert [each.get("CONTENT") for each in rows.iter() if each.tag.endswith("String")] == [
        line.text for line in page.lines
    ]

    Image.fromarray(made.image).save(tmp_path / "page.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    predict(readers["thai"], str(tmp_path), str(tmp_path / "out.json"), "auto", find_language("thai"))
    facts = json.loads((tmp_path / "out.json").read_text())
    assert [each["mode"] for each in facts] == ["page"]
    assert [line["text"] for line in facts[0]["lines"]] == [line.text for line in page.lines]
    said = capsys.readouterr().err
    assert "not read" in said and "as a page: 1, 1 not read" in said
