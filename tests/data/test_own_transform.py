"""An augmentation of one's own, by its dotted name: drawn like the others, trained with, not imported for a file."""

import sys

import numpy as np
import pytest

from shared.command.cli import evaluate, train
from shared.config.trusted import trusted
from shared.data.draws import keyed_generator
from shared.data.images import Augment
from shared.errors import UserError
from tests.conftest import TINY

MODULE = """
import albumentations as A

class Brighter(A.ImageOnlyTransform):
    def __init__(self, most=50, p=0.5):
        super().__init__(p=p)
        self.most = most

    def get_params(self):
        return {"by": self.py_random.randint(1, self.most)}

    def apply(self, img, by, **params):
        return (img.astype(int) + by).clip(0, 255).astype(img.dtype)

no_class = 3
class Other: pass
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module that a user wrote, on the path."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "my_augment.py").write_text(MODULE)
    monkeypatch.syspath_prepend(folder)
    yield "my_augment.Brighter"
    sys.modules.pop("my_augment", None)


def test_it_is_drawn_from_the_samples_own_generator(mine):
    augment, grey = (
        Augment({mine: {"most": 90, "p": 1}, "HorizontalFlip": {"p": 0.5}}),
        np.full((8, 8, 3), 100, np.uint8),
    )
    drawn = [int(augment(grey, keyed_generator(1, "augment", 0, index))[0, 0, 0]) for index in range(20)]
    again = [int(augment(grey, keyed_generator(1, "augment", 0, index))[0, 0, 0]) for index in range(20)]
    assert drawn == again and len(set(drawn)) > 10 and min(drawn) > 100 and max(drawn) <= 190


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("my_augment.Brigher", {}, "cannot be imported"),
        ("nobodys_module.Blur", {}, "No module named 'nobodys_module'"),
        ("my_augment.Other", {}, "derive it from albumentations.ImageOnlyTransform"),
        ("my_augment.no_class", {}, "derive it from"),
        (".Blur", {}, "cannot be imported"),
        ("my_augment.Brighter", {"least": 3}, "correct its options"),
        ("Brighter", {}, "dotted name of your own class"),
    ],
)
def test_what_is_wrong_with_it_is_said(mine, name, options, words):
    with pytest.raises(UserError) as error:
        Augment({name: options}, "data.transforms")
    assert error.value.where == f"data.transforms.{name}" and words in str(error.value)


def test_a_run_trains_with_it_and_its_checkpoint_is_evaluated(mine, command, tmp_path, monkeypatch):
    run = f"run_dir={tmp_path / 'run'}"
    outcome = command(
        train, "imagenet_resnet", *TINY, run, f"+data.augment={{{mine}:{{most: 20}}}}", "trainer.max_epochs=1"
    )
    assert outcome.code == 0, outcome.err
    assert "my_augment.Brighter" in (tmp_path / "run/config.yaml").read_text()

    sys.modules.pop("my_augment")
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    scored = command(evaluate, "imagenet_resnet", f"checkpoint={checkpoint}", "hardware=cpu")
    assert scored.code == 0, scored.err
    assert "my_augment" not in sys.modules


def test_a_name_in_somebodys_checkpoint_is_not_imported():
    given = {
        "data": {
            "augment": {"os.system": {"p": 1}, "Blur": {"p": 1}},
            "deeper": [{"transforms": {"a.B": {}}}],
        }
    }
    found = trusted(given, "checkpoint")
    assert found == {"data": {"augment": {"Blur": {"p": 1}}, "deeper": [{"transforms": {}}]}}
