import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.khmer_ocr.data import GeneratedData
from shared.config.root import ROOT
from shared.data.draws import SampleKey, keyed_generator
from shared.ocr.lines.batch import STRIDE, WIDTH_STEP, by_width, frames_needed, pad_lines
from shared.ocr.lines.degrade import Degrade, another_face, compose_clear, pad, tilted
from shared.ocr.lines.fonts import draw, load, open_font
from shared.ocr.lines.rendered import GeneratedLines
from shared.ocr.script.normalise import fold
from shared.ocr.script.text import LineText
from tests.ocr.conftest import FONTS

BLUR = {"GaussianBlur": {"sigma_limit": [0.5, 2.0], "p": 0.5}, "GaussNoise": {"p": 0.5}}


@pytest.fixture(scope="module")
def lines(khmer, fonts):
    text = LineText(["កម្ពុជា", "សាលា", "ទឹក"], "khmer")
    degrade = Degrade(BLUR, (40, 255))
    return GeneratedLines(
        200, text, fonts, khmer, degrade, purpose="test", seed=3, height=32, max_length=30, first_length=6
    )


def test_a_line_depends_on_seed_epoch_and_index_alone(lines):
    first = lines[SampleKey(1, 5)]
    lines[SampleKey(0, 9)]
    again = lines[SampleKey(1, 5)]
    assert np.array_equal(first["image"], again["image"]) and first["text"] == again["text"]
    assert not np.array_equal(first["image"], lines[SampleKey(2, 5)]["image"])


def test_lines_are_ready_to_train_on(lines, khmer):
    for index in range(40):
        line = lines[SampleKey(5, index)]
        assert line["image"].shape[0] == 32 and line["image"].dtype == np.uint8
        assert khmer.decode(line["label"]) == line["text"] == fold(line["text"], "khmer")
        assert line["image"].shape[1] // STRIDE >= frames_needed(line["label"])
        assert np.ptp(line["image"]) > 100, "ink must be seen"


def test_early_epochs_have_short_lines(lines):
    early = [len(lines[SampleKey(0, i)]["text"]) for i in range(60)]
    late = [len(lines[SampleKey(9, i)]["text"]) for i in range(60)]
    assert np.mean(early) < 0.7 * np.mean(late)


def test_some_lines_are_clear_and_the_share_is_kept(lines):
    groups = [lines[SampleKey(2, i)]["group"] for i in range(120)]
    assert 0.15 < 1 - np.mean(groups) < 0.45


def test_a_font_is_never_asked_for_what_it_lacks(khmer):
    siemreap = open_font(str(FONTS / "Siemreap_400Regular.ttf"))
    text = LineText(["Az", "ទឹក"], "khmer", phrase_share=0)
    lines = GeneratedLines(
        50, text, [siemreap], khmer, Degrade({}, (90, 200)), purpose="t", seed=0, height=32, max_length=12
    )
    assert not [i for i in range(50) if "A" in lines[SampleKey(0, i)]["text"]]


def test_batches_are_padded_with_paper(lines):
    samples = [lines[SampleKey(0, i)] for i in range(5)]
    batch = pad_lines(samples)
    widest = max(sample["image"].shape[1] for sample in samples)
    assert batch["image"].shape == (5, 1, 32, -(-widest // WIDTH_STEP) * WIDTH_STEP)
    for row, sample in enumerate(samples):
        width = batch["width"][row]
        assert np.array_equal(batch["image"][row, 0, :, :width], sample["image"])
        assert (batch["image"][row, 0, :, width:] == 255).all()
        assert batch["label"][row, : batch["label_length"][row]].tolist() == sample["label"]


def test_a_batch_in_parts_is_the_same_lines_with_less_padding(lines):
    batch = pad_lines([lines[SampleKey(9, i)] for i in range(33)])
    parts = by_width(batch)
    assert [len(part["text"]) for part in parts] == [9, 8, 8, 8]
    few = pad_lines([lines[SampleKey(9, i)] for i in range(17)])
    assert [len(part["text"]) for part in by_width(few)] == [9, 8]
    order = [int(index) for part in parts for index in part["index"]]
    assert sorted(order) == sorted(batch["index"].tolist()) and order != batch["index"].tolist()
    for part in parts:
        assert part["image"].shape[3] < part["width"].max() + WIDTH_STEP
        for row, index in enumerate(part["index"].tolist()):
            was, width = batch["index"].tolist().index(index), part["width"][row]
            assert part["text"][row] == batch["text"][was]
            assert np.array_equal(part["image"][row, 0, :, :width], batch["image"][was, 0, :, :width])
    assert sum(part["image"].size for part in parts) < 0.8 * batch["image"].size


@given(st.lists(st.integers(1, 3), max_size=12))
def test_frames_needed_is_the_shortest_path(label):
    path: list[int] = []
    for character in label:
        if path and path[-1] == character:
            path.append(0)
        path.append(character)
    assert frames_needed(label) == len(path)


def test_clear_lines_are_dark_on_light():
    ink = np.zeros((40, 100), np.uint8)
    ink[10:30, 20:80] = 255
    line = compose_clear(ink, keyed_generator(0, "test"))
    assert np.median(line) > 200 and line.min() < 80


@pytest.mark.parametrize("size", [20, 46])
def test_another_face_has_other_outlines_and_the_same_letters(size):
    """The line is about as large as it was, and some faces are lighter, some bolder."""
    ink = draw("កខគ", load(str(FONTS / "Siemreap_400Regular.ttf"), size))
    weights = []
    for index in range(40):
        face = another_face(ink, size, keyed_generator(0, "test", index=index))
        assert face.dtype == np.uint8 and not np.array_equal(face, ink)
        assert all(abs(new - old) < size / 3 for new, old in zip(face.shape, ink.shape, strict=True))
        assert min(face[0].max(), face[-1].max(), face[:, 0].max(), face[:, -1].max()) > 0
        weights.append(face.sum() / ink.sum())
    assert min(weights) < 0.9 < 1.1 < max(weights)


def test_typefaces_are_changed_in_training_alone():
    files = {"words": ROOT / "assets/words/khmer.txt.gz", "fonts": FONTS}
    plain, changed = (
        GeneratedData(
            "khmer",
            phrases="khmer",
            val_families=["Busra"],
            transforms={},
            height=32,
            count=8,
            val_count=8,
            changed_faces=share,
            **{name: str(path) for name, path in files.items()},
        )
        for share in (0.0, 1.0)
    )
    for index in range(8):
        key = SampleKey(0, index)
        assert np.array_equal(plain.val[key]["image"], changed.val[key]["image"])
        assert plain.train[key]["text"] == changed.train[key]["text"]
        assert not np.array_equal(plain.train[key]["image"], changed.train[key]["image"])


def test_margins_can_cut_into_the_line():
    ink = np.full((40, 100), 255, np.uint8)
    shapes = [pad(ink, keyed_generator(0, "test", index=i), -0.04, 0.5).shape for i in range(200)]
    assert min(h for h, _ in shapes) < 40 < max(h for h, _ in shapes)


def test_a_tilted_line_is_all_there():
    """Ink up to three pixels from the edges of a long line: no edge of the frame cuts into it."""
    line = np.full((40, 600), 255, np.uint8)
    line[3:-3, 3:-3] = 0
    for index in range(50):
        seen = tilted(line, 0.15, keyed_generator(0, "test", index=index))
        assert seen.shape[0] < 1.7 * 40 and (seen < 128).any()
        assert min(seen[0].min(), seen[-1].min(), seen[:, 0].min(), seen[:, -1].min()) > 128


def test_transforms_see_every_line_at_the_same_height():
    """A blur of so many pixels must not wipe out lines that happen to be drawn small."""
    degrade = Degrade({"GaussianBlur": {"sigma_limit": [1.4, 1.4], "p": 1}}, (200, 200), 0.0, 40)
    small = np.zeros((20, 200), np.uint8)
    small[5:15, 10:190:4] = small[5:15, 11:190:4] = 255
    line = degrade(small, keyed_generator(0, "test", index=3))
    assert line.shape[0] == 40 and np.ptp(line[20]) > 60


@pytest.mark.parametrize("contrast", [(30, 30), (255, 255)])
def test_contrast_is_kept(contrast):
    ink = np.zeros((40, 200), np.uint8)
    ink[5:35, 20:180] = 255
    for index in range(20):
        line = Degrade({}, contrast)(ink, keyed_generator(0, "test", index=index))
        assert np.ptp(line) >= 0.5 * contrast[0]


def test_a_lone_letter_too_tall_for_a_line_is_drawn_anew(khmer, fonts):
    text = LineText(["!", "ទឹក"], "khmer", phrase_share=0)
    lines = GeneratedLines(
        60, text, fonts, khmer, Degrade({}, (90, 200)), purpose="t", seed=0, height=32, max_length=12
    )
    lines.lengths[:] = 3
    assert {lines[SampleKey(0, index)]["text"] for index in range(60)} >= {"ទឹក"}
