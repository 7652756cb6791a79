"""Label files of other tools, as they write them."""

import json

import numpy as np
import pytest
from PIL import Image

from shared.errors import UserError
from shared.ocr.lines.data import FolderData
from shared.ocr.lines.labelled import usable
from shared.ocr.lines.tables import Line, find_table, read_table
from shared.ocr.script.charset import Charset

TEXTS = ["កខ, គ", '«ង» "ច"', "ឆ"]


def found(root, split: str = "all") -> list[tuple[str, str]]:
    table = find_table(root, split)
    return [(line.image.removeprefix(f"{root}/"), line.text) for line in read_table(table)]


def easyocr(texts: list[str]) -> str:
    return "filename,words\n" + "".join(f"{i}.png,{text}\n" for i, text in enumerate(texts))


def pandas(texts: list[str]) -> str:
    cells = ['"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text for text in texts]
    return easyocr(cells)


def quoted(texts: list[str]) -> str:
    cells = ['"' + text.replace('"', '""') + '"' for text in texts]
    return '"filename","words"\n' + "".join(f'"{i}.png",{cell}\n' for i, cell in enumerate(cells))


def other_order(texts: list[str]) -> str:
    cells = ['"' + text.replace('"', '""') + '"' for text in texts]
    return "id,text,file_name\n" + "".join(f"{i},{cell},{i}.png\n" for i, cell in enumerate(cells))


@pytest.mark.parametrize("write", [easyocr, pandas, quoted, other_order])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_of_easyocr_and_of_spreadsheets(tmp_path, write, end, encoding):
    (tmp_path / "labels.csv").write_bytes(write(TEXTS).replace("\n", end).encode(encoding))
    assert found(tmp_path) == [(f"{i}.png", text) for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize("keys", [("file_name", "text"), ("image", "ground_truth")])
def test_json_lines(tmp_path, keys):
    rows = [json.dumps({keys[0]: f"{i}.png", keys[1]: text, "id": i}) for i, text in enumerate(TEXTS)]
    (tmp_path / "metadata.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    assert found(tmp_path) == [(f"{i}.png", text) for i, text in enumerate(TEXTS)]


def test_splits_of_image_folders(tmp_path):
    for folder in ("train", "validation"):
        (tmp_path / folder).mkdir()
        row = json.dumps({"file_name": "a.png", "text": folder})
        (tmp_path / folder / "metadata.jsonl").write_text(row)
    assert found(tmp_path, "train") == [("train/a.png", "train")]
    assert found(tmp_path, "val") == [("validation/a.png", "validation")]


def test_pairs_of_tesstrain(tmp_path):
    for name, kind in (("a", "png"), ("deep/b.c", "tif"), ("d", "bin.png"), ("e", "JPG")):
        path = tmp_path / f"{name}.gt.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"\ufeffកខ {name}\r\n", encoding="utf-8")
        (tmp_path / f"{name}.{kind}").write_bytes(b"x")
    texts = {"a.png": "a", "d.bin.png": "d", "deep/b.c.tif": "deep/b.c", "e.JPG": "e"}
    assert sorted(found(tmp_path)) == [(image, f"កខ {text}") for image, text in texts.items()]
    (tmp_path / "f.gt.txt").write_text("ក")
    with pytest.raises(UserError, match=r"no image beside the text .*f\.gt\.txt"):
        found(tmp_path)


def test_pairs_in_two_folders_are_no_third_set(tmp_path):
    for folder in ("train", "val"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.gt.txt").write_text(folder)
        (tmp_path / folder / "a.png").write_bytes(b"x")
    assert find_table(tmp_path, "all") is None
    assert found(tmp_path, "val") == [("val/a.png", "val")]


def test_texts_of_icdar_and_marks_that_are_no_ends_of_lines(tmp_path):
    (tmp_path / "gt.txt").write_text('\ufeffword_1.png, "ក, \\"ខ\\""\nword_2.png, "គ"\n', encoding="utf-8")
    assert found(tmp_path) == [("word_1.png", 'ក, "ខ"'), ("word_2.png", "គ")]
    (tmp_path / "labels.tsv").write_text("a.png\tក\u2028ខ\x0bគ\rb.png\tឃ", encoding="utf-8", newline="")
    assert found(tmp_path) == [("a.png", "ក\u2028ខ\x0bគ"), ("b.png", "ឃ")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", "a.png,ក\n", "no column 'file_name'"),
        ("labels.csv", "", "an empty file"),
        ("labels.csv", "filename,words\na.png ក\n", "line 2"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "ក"}\n{"file_name": "b.png"}\n', "line 2"),
        ("metadata.jsonl", "[1]\n", "line 1"),
        ("metadata.jsonl", "{\n", "line 1"),
        ("gt.txt", "a.png ក\n", "line 1"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said) as error:
        found(tmp_path)
    assert name in str(error.value)


def test_unknown_characters_are_counted_and_can_be_added(khmer, caplog):
    lines = [Line("a", "ក“ខ”"), Line("b", "ក"), Line("c", ""), Line("d", "“é")]
    assert [line.image for line in usable(lines, khmer, "labels.tsv")] == ["b"]
    assert "left out 3 of 4 lines: 1 are empty, 2 have" in caplog.text
    assert "(“ U+201C x2, ” U+201D x1, é U+00E9 x1)" in caplog.text
    assert "'data.charset=\"khmer+“”é\"'" in caplog.text
    wider = Charset.load("khmer+“”éé")
    assert wider.characters == khmer.characters + "“”é" and wider.language == "khmer"
    assert len(usable(lines, wider, "labels.tsv")) == 3


def test_a_folder_of_another_tool_is_trained_on(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (32, 200), np.uint8)
    for index in range(20):
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    (tmp_path / "labels.csv").write_text(easyocr([f"ក{index}" for index in range(20)]))
    data = FolderData(str(tmp_path), "khmer", 32, {})
    data.prepare()
    assert len(data.train) + len(data.val) == 20
