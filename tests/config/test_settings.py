"""What counts as another setting when a run goes on exactly."""

import pytest
from omegaconf import OmegaConf

from shared.config.settings import differences
from tests.conf.test_compose import compose


def changed(project, *overrides):
    before = OmegaConf.to_container(compose(project, "run_dir=/tmp/run"))
    return [each.key for each in differences(before, compose(project, "run_dir=/tmp/run", *overrides))]


@pytest.mark.parametrize(
    ("project", "override"),
    [
        ("imagenet_resnet", "note=why?"),
        ("video_lstm", "report=/tmp/report"),
        ("voxceleb", "eval.scores=/tmp/scores.txt"),
    ],
)
def test_a_question_or_an_output_is_no_setting_of_the_training(project, override):
    assert changed(project, override) == []


def test_what_is_trained_or_how_it_is_judged_is_one():
    assert changed("video_lstm", "shuffle_frames=true") == ["shuffle_frames", "task.shuffle_frames"]
    assert changed("voxceleb", "eval.crops=5") == ["eval.crops", "task.eval.crops"]
