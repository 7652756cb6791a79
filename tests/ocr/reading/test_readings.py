"""The pictures of a validation: shown to every logger, and never the end of a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from shared.data.draws import SampleKey
from shared.ocr.reading.readings import Readings
from tests.ocr.conftest import FONTS


class Shown:
    """A logger like TensorBoard's or, with `log_image`, like W&B's; `broken` ones can do nothing."""

    def __init__(self, broken=False):
        self.broken, self.seen = broken, []

    @property
    def experiment(self):
        if self.broken:
            raise OSError(28, "No space left on device")
        return self

    def add_image(self, name, *_, **__):
        self.seen.append(name)

    add_text = add_image


class Refusing:
    def log_image(self, *_):
        raise RuntimeError("wandb is gone")


@pytest.fixture
def task(khmer, tmp_path):
    line = {"image": np.full((32, 64), 200, np.uint8)}
    data = SimpleNamespace(val={SampleKey(0, 0): line})
    rails = SimpleNamespace(folder=SimpleNamespace(path=tmp_path))
    scores = SimpleNamespace(read=[(0, "កខ", "កគ")], charset=khmer)
    return SimpleNamespace(line_scores=scores, data=data, rails=rails)


def show(task, *loggers):
    trainer = SimpleNamespace(is_global_zero=True, loggers=loggers, global_step=3)
    font = next(FONTS.glob("*.ttf"))
    Readings(str(font), 1).on_validation_epoch_end(trainer, task)


def test_a_broken_logger_ends_neither_the_run_nor_the_others(task, caplog):
    well = Shown()
    show(task, Shown(broken=True), Refusing(), well)
    assert well.seen == ["val/readings", "val/confusions"]
    assert "No space left" in caplog.text and "wandb is gone" in caplog.text
    assert (task.rails.folder.path / "confusions.tsv").read_text().startswith("expected")


def test_a_folder_that_takes_nothing_does_not_end_the_run(task, caplog):
    (task.rails.folder.path / "readings.png").mkdir()
    show(task, well := Shown())
    assert "readings.png" in caplog.text and well.seen == ["val/readings", "val/confusions"]
