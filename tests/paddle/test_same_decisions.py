"""Lightning's and Paddle's runs decide alike, and neither framework comes with the other."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def python(*arguments: str) -> str:
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    line = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripted")
    script = str(ROOT / "tests/paddle/scripted.py")
    return [json.loads(python(script, name, str(folder / name))) for name in ("lightning", "paddle")]


@pytest.mark.parametrize("what", ["events", "rates", "roles"])
def test_one_scripted_metric_leads_to_the_same_decisions(both, what):
    lightning, paddle = (each[what] for each in both)
    assert lightning == paddle and lightning


def test_the_script_exercises_what_it_compares(both):
    kinds = {kind for kind, *_ in both[0]["events"]}
    assert {"restart", "restart_ahead", "non_finite_skip", "early_stopped"} <= kinds
    assert {"best", "last", "cycle-1-best", "cycle-2-best"} <= both[0]["roles"].keys()


IMPORTS = {
    "torch": "import shared.paddle.assembly, shared.paddle.scoring, shared.command.runner, shared.command.evaluation, "
    "shared.sweeps.table, shared.runs.pages.report, "
    "projects.thai_ocr.task, projects.thai_ocr.data, projects.thai_ocr.model, "
    "shared.callbacks.progress, shared.callbacks.forecast, shared.paddle.loggers",
    "paddle": "import shared.lightning.assembly, shared.lightning.scoring, shared.command.runner, "
    "projects.khmer_ocr.task, "
    "projects.khmer_ocr.data, projects.imagenet_resnet.task, projects.voxceleb.task, projects.video_lstm.task",
}


@pytest.mark.parametrize("unwanted", ["torch", "paddle"])
def test_neither_framework_comes_with_the_other(unwanted):
    assert python("-c", f"{IMPORTS[unwanted]}; import sys; print('{unwanted}' in sys.modules)") == "False"
