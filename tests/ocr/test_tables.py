import io

import numpy as np
import pytest
from PIL import Image

from shared.data.draws import SampleKey
from shared.errors import UserError
from shared.ocr.folder_lines import FolderLines, split_by_text, usable
from shared.ocr.tables import Line, find_table, image_bytes, read_table


def picture(seed: int = 0, width: int = 200) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (32, width), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(picture(index))
    return tmp_path


def test_a_table_with_or_without_a_head(folder):
    (folder / "labels.tsv").write_text("file\ttext\n0.png\tកខ គ\n\n1.png\tង\n", encoding="utf-8-sig")
    found = read_table(find_table(folder, "all"))
    assert [(line.image.rsplit("/", 1)[1], line.text) for line in found] == [
        ("0.png", "កខ គ"),
        ("1.png", "ង"),
    ]
    assert image_bytes(found[0].image) == picture(0)


def test_paddleocrs_lists_of_images(folder):
    (folder / "train_list.txt").write_text('["0.png", "1.png"]\tកខ\n2.png\tគ\n')
    found = read_table(find_table(folder, "train"))
    assert [line.text for line in found] == ["កខ", "កខ", "គ"]


def test_a_row_without_a_tab_is_named(folder):
    (folder / "labels.tsv").write_text("0.png\tក\n1.png ខ\n")
    with pytest.raises(UserError, match="line 2"):
        read_table(folder / "labels.tsv")


def test_an_lmdb_of_the_scene_text_kind(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "train"), map_size=1 << 20) as base, base.begin(write=True) as records:
        for number, text in enumerate(["កខ", "គ"], start=1):
            records.put(f"image-{number:09d}".encode(), picture(number))
            records.put(f"label-{number:09d}".encode(), text.encode())
        records.put(b"num-samples", b"2")
    found = read_table(find_table(tmp_path, "train"))
    assert [line.text for line in found] == ["កខ", "គ"]
    assert image_bytes(found[1].image) == picture(2)


def test_lines_that_cannot_be_learned_are_left_out(khmer, caplog):
    lines = [Line("a", "កខ"), Line("b", " "), Line("c", "漢ក")]
    assert [line.image for line in usable(lines, khmer, "labels.tsv")] == ["a"]
    assert "left out 2 of 3" in caplog.text and "漢" in caplog.text
    with pytest.raises(UserError, match=r"labels\.tsv"):
        usable(lines[1:], khmer, "labels.tsv")


def test_no_text_is_on_both_sides():
    lines = [Line(str(i), f"line {i % 50}") for i in range(500)]
    train, val = split_by_text(lines)
    assert len(train) + len(val) == 500 and val
    assert not {line.text for line in train} & {line.text for line in val}


def test_unreadable_images_are_passed_over_up_to_a_number(folder, khmer):
    lines = [Line(str(folder / "gone.png"), "ក"), Line(str(folder / "1.png"), "ខ")]
    dataset = FolderLines(lines, khmer, 32, {}, max_corrupt=1, seed=0)
    assert dataset[SampleKey(0, 0)]["text"] == "ខ"
    strict = FolderLines(lines, khmer, 32, {}, max_corrupt=0, seed=0)
    with pytest.raises(UserError, match=r"gone\.png"):
        strict[SampleKey(0, 0)]


def test_a_long_label_gets_the_width_that_ctc_needs(folder, khmer):
    dataset = FolderLines([Line(str(folder / "0.png"), "ក" * 60)], khmer, 32, {}, max_corrupt=0, seed=0)
    assert dataset[SampleKey(0, 0)]["image"].shape[1] >= 4 * 119
