"""The preparation of lines inside the exported graph is that of shared.ocr."""

from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
import yaml

from projects.thai_ocr.inference.graph import Official, description
from projects.thai_ocr.inference.line_image import stretch, trim
from shared.ocr.lines import image as line_image
from shared.ocr.lines.batch import frames, stack
from shared.ocr.lines.fonts import draw, load
from shared.ocr.script.charset import Charset
from shared.paddle.nets.line_recogniser import LineRecogniser

ROOT = Path(__file__).resolve().parents[3]
THAI = Charset.load("thai")


@pytest.mark.parametrize("levels", [(40, 90), (0, 255), (200, 202), (90, 40)])
def test_contrast_is_stretched_to_the_grey_level(levels):
    draw = np.random.default_rng(0)
    image = np.where(draw.random((2, 32, 96)) < 0.2, *levels).astype(np.float32)
    width = np.array([96, 61])
    found = stretch(paddle.to_tensor(image), paddle.to_tensor(width)).numpy()
    for row, columns in enumerate(width):
        expected = line_image.stretch(image[row, :, :columns].astype(np.uint8))
        assert np.array_equal(found[row, :, :columns], expected)
        assert (found[row, :, columns:] == 255).all()


@pytest.mark.parametrize("inverted", [False, True])
def test_the_ground_is_what_the_edges_are(inverted):
    page = np.full((40, 200), 240, np.uint8)
    page[7:-7, 8:-8] = 20  # bold letters in a tight crop: two thirds of it
    page = 255 - page if inverted else page
    found = stretch(paddle.to_tensor(page[None].astype(np.float32)), paddle.to_tensor([200])).numpy()[0]
    assert np.array_equal(found, line_image.stretch(page)) and found[20, 100] == 0


def test_wide_margins_are_cut_off_and_narrow_ones_kept():
    font = load(str(ROOT / "assets/fonts/thai/Sarabun_400Regular.ttf"), 30)
    lines = []
    for index, margin in enumerate((0, 2, 8, 16, 25)):
        page = np.pad(255 - draw(f"กขคง ทดสอบ ปี่ {index}", font), margin, constant_values=255)
        lines.append(cv2.resize(page, (round(page.shape[1] * 40 / page.shape[0]), 40)))
    batch = np.zeros((len(lines), 40, max(line.shape[1] for line in lines)), np.float32)
    for row, line in enumerate(lines):
        batch[row, :, : line.shape[1]] = line
    widths = np.array([line.shape[1] for line in lines])
    found, fitting = trim(paddle.to_tensor(batch), paddle.to_tensor(widths))
    for row, line in enumerate(lines):
        cut = line_image.trim(line)
        expected = cv2.resize(cut, (round(cut.shape[1] * 40 / cut.shape[0]), 40))
        assert fitting[row] == expected.shape[1]
        difference = np.abs(found[row, :, : expected.shape[1]].numpy() - expected)
        assert difference.mean() < 5 and (cut is not line or difference.max() == 0)
    assert (fitting.numpy() > widths).tolist() == [False, False, True, True, True]


def test_padded_batches_score_as_single_lines_do():
    paddle.seed(0)
    net = LineRecogniser(len(THAI), channels=(8, 16, 32), blocks=(0, 1, 1), layers=1, heads=2)
    model = Official(net, THAI)
    model.eval()
    lines = [
        np.random.default_rng(i).integers(0, 256, (32, w)).astype(np.uint8) for i, w in enumerate((96, 64))
    ]
    lines = [line_image.stretch(line) for line in lines]
    official = np.zeros((2, 3, 32, 320), np.float32)
    for row, line in enumerate(lines):
        official[row, :, :, : line.shape[1]] = (line / 255 - 0.5) / 0.5
    with paddle.no_grad():
        found = model(paddle.to_tensor(official)).numpy()
        for row, line in enumerate(lines):
            alone = net(paddle.to_tensor(stack([line])), paddle.to_tensor([line.shape[1]])).numpy()[0]
            own = frames(line.shape[1])
            best = [0, *THAI.encode(THAI.characters.replace(" ", "") + " ")]
            assert [best[i] for i in found[row, :own].argmax(1)] == alone[:own].argmax(1).tolist()
            assert (found[row, own:].argmax(1) == 0).all()


def test_the_yml_names_every_character_but_blank_and_space():
    text = yaml.safe_dump(description(THAI, 32), allow_unicode=True)
    characters = yaml.safe_load(text)["PostProcess"]["character_dict"]
    assert len(characters) == len(THAI) - 2 and set(characters) | {" "} == set(THAI.characters)


def test_paddleocrs_dictionary_is_whole():
    official, complete = Charset.load("thai_ppocrv5"), Charset.load("thai_ppocrv5_complete")
    assert len(official) == 526 and complete.characters.startswith(official.characters)
    assert not complete.missing(THAI.characters) and official.missing(THAI.characters) == set("ฃ๎๏๛")
