"""Options of one project are no options of another, and a wrong name lists what can work."""

import pytest

from shared.command.cli import evaluate, train
from shared.config.choices import owner, projects, usable


@pytest.mark.parametrize(
    ("project", "choice", "other"),
    [
        ("imagenet_resnet", "model=thai_ocr_tiny", "thai_ocr"),
        ("imagenet_resnet", "data=voxceleb_mini", "voxceleb"),
        ("khmer_ocr", "experiment=thai_ocr_svtr_tiny", "thai_ocr"),
        ("thai_ocr", "model=khmer_ocr_tiny", "khmer_ocr"),
        ("video_lstm", "data=digits", "imagenet_resnet"),
        ("voxceleb", "model=video_lstm_small", "video_lstm"),
    ],
)
def test_another_projects_option_is_refused_by_name(project, choice, other, command, tmp_path):
    outcome = command(train, project, choice, f"run_dir={tmp_path / 'run'}")
    assert outcome.code == 2
    error = outcome.err.splitlines()[-1]
    option = choice.partition("=")[2]
    assert error.startswith(
        f"error: {option} is an option of {other}, not of {project} ({choice}): choose one of"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("project", projects())
def test_a_wrong_name_lists_what_this_project_can_use(project, command):
    outcome = command(train, project, "model=nope")
    assert outcome.code == 2
    error = outcome.err.splitlines()[-1]
    assert all(name in error for name in usable(project, "model"))
    others = [name for each in projects() if each != project for name in usable(each, "model")]
    assert not [name for name in others if f" {name}," in error or error.endswith(f" {name}")]


def test_an_evaluation_refuses_them_too(command, tmp_path):
    outcome = command(evaluate, "imagenet_resnet", f"checkpoint={tmp_path}/none.ckpt", "data=voxceleb_mini")
    assert outcome.code == 2 and "is an option of voxceleb" in outcome.err


def test_every_option_has_one_owner_or_none():
    assert owner("data", "digits") == "imagenet_resnet" and owner("optimizer", "adamw") is None
    assert all(usable(project, "model") and usable(project, "data") for project in projects())
