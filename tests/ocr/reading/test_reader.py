import csv

import numpy as np
import pytest
from PIL import Image

from shared.errors import UserError
from shared.ocr.lines.image import read_line
from shared.ocr.pages.predict import find_images, predict
from shared.ocr.reading.exported import compare, gate, shrink, write
from shared.ocr.reading.reader import AREA, PIECE, Reader, batches, cut
from shared.ocr.script.language import find_language
from tests.ocr.reading.tiny_net import line, stripes


@pytest.fixture(scope="module")
def reader():
    return Reader(stripes())


def test_lines_come_back_in_order_whatever_their_width(reader):
    texts = ["កខគ", "គ", "ខខកកគ", "", "ក" * 20]
    lines = [line(text) if text else np.full((32, 20), 255, np.uint8) for text in texts]
    found = reader.read(lines, batch_size=2)
    assert [each.text for each in found] == texts
    assert all(0.9 < each.score <= 1 for each in found if each.text)
    assert found[3].score == 0


def test_a_reader_that_searches_reads_the_same_where_it_is_sure():
    found = Reader(stripes(), beam=4).read([line("កខគ"), line("គ គ")])
    assert [each.text for each in found] == ["កខគ", "គគ"]


def test_long_lines_are_cut_between_letters(reader):
    text = "កខគ" * 160
    image = line(text, gap=8)
    pieces = cut(image)
    assert len(pieces) > 2 and max(piece.shape[1] for piece in pieces) <= PIECE
    assert np.array_equal(np.concatenate(pieces, 1), image)
    assert reader.read([image])[0].text == text


def test_a_line_without_gaps_is_cut_all_the_same():
    image = np.random.default_rng(0).integers(0, 255, (32, 9000), np.uint8)
    assert max(piece.shape[1] for piece in cut(image)) <= PIECE


def test_batches_hold_lines_of_like_width_and_bounded_area():
    widths = [3000, 20, 3200, 40, 3100, 3200, 30, 60]
    found = batches(widths, 4)
    assert found == [[1, 6, 3, 7], [0, 4, 2], [5]]
    assert all(len(each) * max(widths[i] for i in each) <= AREA for each in found)
    assert batches([2 * AREA], 4) == [[0]] and batches([], 4) == []


def test_what_is_no_recogniser_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"bad\.onnx"):
        Reader(tmp_path / "bad.onnx")


@pytest.fixture
def folder(tmp_path):
    for name, text in (("a", "កខគ"), ("b", "គក")):
        Image.fromarray(line(text)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"")
    return tmp_path


def test_a_table_of_all_files(reader, folder, capsys):
    predict(reader, str(folder), str(folder / "out.tsv"), "line", find_language("khmer"))
    with (folder / "out.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[0] == ["file", "text", "score"]
    assert [row[1] for row in rows[1:]] == ["កខគ", "គក", ""]
    assert "not read" in capsys.readouterr().err
    assert not list(folder.glob("*.tmp"))


def test_files_folders_and_patterns(folder):
    assert find_images(str(folder / "a.png")) == [str(folder / "a.png")]
    assert len(find_images(str(folder))) == 3
    assert len(find_images(f"{folder}/[ab].png")) == 2
    with pytest.raises(UserError, match="images"):
        find_images(str(folder / "*.jpg"))


def test_smaller_files_read_the_same_or_are_refused(reader, folder):
    lines = [read_line(folder / f"{name}.png", 32) for name in "ab"]
    model = stripes()
    for precision in ("fp32", "fp16", "int8"):
        assert "0.0000" in gate(model, shrink(model, precision), lines, ["កខគ", "គក"], "khmer", precision)
    with pytest.raises(UserError, match="precision"):
        shrink(model, "int4")
    deaf = model.replace(np.float32(-0.2).tobytes(), np.float32(0.2).tobytes())
    with pytest.raises(UserError, match="CER"):
        gate(model, deaf, lines, ["កខគ", "គក"], "khmer", "int8")


def test_the_parity_gate_sees_a_difference():
    inputs = {"image": np.zeros((1, 1, 32, 16), np.uint8), "width": np.array([16])}
    right = -0.2 * np.abs(np.array([[[255.0, 170.0, 85.0, 0.0]]])).repeat(8, 1)
    compare(stripes(), inputs, right)
    for frame in (0, 7):
        wrong = right.copy()
        wrong[:, frame] += 0.01
        with pytest.raises(UserError, match="differs"):
            compare(stripes(), inputs, wrong)


def test_a_file_is_written_whole(tmp_path):
    write(b"model", tmp_path / "deep" / "x.onnx")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.onnx"]
