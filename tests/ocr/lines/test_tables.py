import io
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from shared.data.draws import SampleKey
from shared.errors import SweepError, UserError
from shared.ocr.lines.labelled import FolderLines, first_lines, split_by_text, usable
from shared.ocr.lines.tables import Line, find_table, image_bytes, read_table


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
    with ProcessPoolExecutor(1, get_context("fork")) as worker:  # as a loader's, forked while it is open
        assert worker.submit(image_bytes, found[0].image).result() == picture(1)
    assert image_bytes(found[0].image) == picture(1)


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


@pytest.fixture
def damaged(folder):
    """Nine lines; images 0, 1, 4 and 8 are not there."""
    for index in set(range(9)) - {0, 1, 4, 8}:
        (folder / f"{index}.png").write_bytes(picture(index))
    for index in (0, 1):
        (folder / f"{index}.png").unlink()
    return [Line(str(folder / f"{index}.png"), "ក" * (index + 1)) for index in range(9)]


@pytest.fixture(params=["torch", "paddle"])
def batches(request):
    """One epoch, by either framework's loader."""
    torch = request.param == "torch"
    loader = pytest.importorskip("shared.lightning.loader" if torch else "shared.paddle.loader")

    def load(*given, workers, **settings):
        dataset = FolderLines(*given, **settings)
        return dataset, list(loader.make_loader(dataset, 1, train=False, workers=workers))

    return load


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_passed_over_and_named_once(damaged, khmer, batches, workers, caplog):
    dataset, found = batches(damaged, khmer, 32, {}, max_corrupt=4, seed=0, workers=workers)
    pairs = {(int(batch["corrupt"]), int(batch["index"])) for batch in found}
    assert {pair for pair in pairs if pair[0] >= 0} == {(0, 2), (1, 2), (4, 5), (8, 2)}
    assert dataset.unreadable.samples == {0, 1, 4, 8}
    said = [record.message for record in caplog.records if "skipped" in record.message]
    assert len(said) == 4 and all("No such file" in each for each in said)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("most", [0, 1, 3])
def test_too_many_unreadable_images_end_the_run(damaged, khmer, batches, workers, most):
    """However many workers there are: each sees a part of them."""
    with pytest.raises(UserError, match=rf"\d\.png.*unreadable files: {most + 1}, .*data\.max_corrupt"):
        batches(damaged, khmer, 32, {}, max_corrupt=most, seed=0, workers=workers)


def test_images_of_which_none_can_be_read_end_the_run(khmer, batches):
    lines = [Line("gone.png", "ក"), Line("gone_too.png", "ខ")]
    with pytest.raises(UserError, match="unreadable files: 2"):
        batches(lines, khmer, 32, {}, max_corrupt=10, seed=0, workers=0)


def test_the_first_lines_are_counted_too(damaged, khmer):
    found = first_lines(FolderLines(damaged, khmer, 32, {}, max_corrupt=2, seed=0), 4)
    assert [line["index"] for line in found] == [2, 2, 2, 3]
    with pytest.raises(UserError, match="unreadable files: 2"):
        first_lines(FolderLines(damaged, khmer, 32, {}, max_corrupt=1, seed=0), 4)


def test_an_error_comes_whole_out_of_a_worker():
    error = pickle.loads(pickle.dumps(SweepError("what", "where", "mend")))  # noqa: S301 (ours)
    assert type(error) is SweepError and str(error) == "what (where): mend"


def test_a_long_label_gets_the_width_that_ctc_needs(folder, khmer):
    dataset = FolderLines([Line(str(folder / "0.png"), "ក" * 60)], khmer, 32, {}, max_corrupt=0, seed=0)
    assert dataset[SampleKey(0, 0)]["image"].shape[1] >= 4 * 119
