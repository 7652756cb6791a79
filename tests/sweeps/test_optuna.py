"""A search by Optuna: what it draws, what it records, how it goes on."""

import json
import math
import signal
import time
from unittest.mock import Mock

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hydra_plugins.trainyard.sweeper import OptunaSweeper
from shared.command.cli import train
from shared.errors import UserError
from shared.sweeps.space import distribution, split
from shared.sweeps.table import read_jobs
from tests.conftest import TINY, start

SHORT = [*TINY, "trainer.max_epochs=1", "sweep=optuna", "callbacks.median_pruner=null"]


def parse(*words):
    return OverridesParser.create().parse_overrides(list(words))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("x=a,b", CategoricalDistribution(["a", "b"])),
        ("x=1,2.5", CategoricalDistribution(["1", "2.5"])),
        ("x=int(interval(1,8))", IntDistribution(1, 8)),
        ("x=interval(0.0,1.0)", FloatDistribution(0.0, 1.0)),
        ("x=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("x=range(16,65,16)", IntDistribution(16, 64, step=16)),
        ("x=range(0.0,1.0,0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
    ],
)
def test_hydras_words_for_a_space(word, expected):
    assert distribution(parse(word)[0]) == expected


@pytest.mark.parametrize("word", ["x=glob(*)", "x=interval(2,1)", "x=tag(log,interval(0.0,1.0))"])
def test_what_is_no_space(word):
    with pytest.raises(UserError, match="x="):
        distribution(parse(word)[0])


def test_the_last_word_for_a_key_counts():
    fixed, space = split(parse("lr=interval(0.0,1.0)", "a=b", "lr=0.5"))
    assert (fixed, space) == (["lr=0.5", "a=b"], {})


def study(folder):
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder}/study.db")


def test_failed_and_diverged_jobs_are_recorded_and_the_search_goes_on(command, tmp_path):
    settings = [*SHORT, f"run_dir={tmp_path}", "hydra.sweeper.n_trials=4", "model.depth=18,51", "seed=3"]
    outcome = command(train, "imagenet_resnet", *settings)
    assert outcome.code == 1, outcome.err  # some failed
    trials = study(tmp_path).trials
    depths = [trial.params["model.depth"] for trial in trials]
    states = [TrialState.FAIL if depth == "51" else TrialState.COMPLETE for depth in depths]
    assert [trial.state for trial in trials] == states and set(depths) == {"18", "51"}
    done = next(trial for trial in trials if trial.state == TrialState.COMPLETE)
    summary = json.loads((tmp_path / f"job_{done.number}" / "summary.json").read_text())
    assert done.value == summary["monitor"]["best"]
    assert done.intermediate_values == {1: summary["monitor"]["last"]}
    assert {row["status"] for row in read_jobs(tmp_path)} == {"completed", "failed"}

    again = command(train, "imagenet_resnet", *settings, "hydra.sweeper.n_trials=5")
    assert len(study(tmp_path).trials) == 5, again.err
    numbers = [trial.params["optimizer.lr"] for trial in study(tmp_path).trials]
    assert len(set(numbers)) == 5
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_nan_is_a_failure(command, tmp_path):
    poison = [
        "+callbacks.poison._target_=shared.lightning.callbacks.poison.Poison",
        "+callbacks.poison.key=image",
    ]
    poison += ["+callbacks.poison.steps=[1,2,3]", "callbacks.non_finite.max_rollbacks=0", "optimizer.lr=0.1"]
    settings = [*SHORT, *poison, f"run_dir={tmp_path}", "hydra.sweeper.n_trials=1", "seed=1,2"]
    assert command(train, "imagenet_resnet", *settings).code == 0
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.FAIL]
    assert read_jobs(tmp_path)[0]["status"] == "stopped_non_finite"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_key=1,2"], "no_such_key"),
        (["optimizer.lr=interval(2,1)"], "optimizer.lr"),
    ],
)
def test_a_wrong_space_ends_the_search_before_it_begins(command, tmp_path, words, said):
    outcome = command(train, "imagenet_resnet", *SHORT, f"run_dir={tmp_path}", *words)
    assert outcome.code == 2 and said in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "study.db").exists()


def test_a_study_keeps_its_direction_and_choices(command, tmp_path):
    settings = [*SHORT, f"run_dir={tmp_path}", "hydra.sweeper.n_trials=1", "seed=1,2"]
    assert command(train, "imagenet_resnet", *settings).code == 0
    for words in (["monitor.mode=min"], ["seed=1,2,3", "hydra.sweeper.n_trials=2"]):
        outcome = command(train, "imagenet_resnet", *settings, *words)
        assert outcome.code == 2 and "run_dir" in outcome.err


def test_a_killed_search_goes_on_with_the_job_it_was_at(command, tmp_path):
    settings = [*SHORT, f"run_dir={tmp_path}", "hydra.sweeper.n_trials=1", "trainer.max_epochs=400"]
    settings += ["callbacks.early_stopping=null"]
    search = start("imagenet_resnet/train.py", *settings)
    metrics, deadline = tmp_path / "job_0" / "metrics.csv", time.monotonic() + 120
    while not metrics.exists() and search.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    search.send_signal(signal.SIGKILL)
    search.communicate()
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.RUNNING]
    drawn = study(tmp_path).trials[0].params
    epochs = len(metrics.read_text().splitlines()) - 1
    settings += ["trainer.limit_train_batches=3", f"trainer.max_epochs={epochs + 1}", "resume_mode=extend"]
    outcome = command(train, "imagenet_resnet", *settings)
    assert "job 0 was cut off; on with it" in outcome.out, outcome
    (trial,) = study(tmp_path).trials
    assert trial.state == TrialState.COMPLETE and trial.params == drawn
    assert json.loads((tmp_path / "job_0" / "summary.json").read_text())["resumed_from"]


def test_interrupted_jobs_count_and_wait_for_the_next_start(tmp_path, capsys):
    search = OptunaSweeper(3, 2, OmegaConf.create({"lr": "interval(0.0,1.0)"}), optuna.samplers.RandomSampler)
    place = {"hydra": {"sweep": {"dir": str(tmp_path)}}, "monitor": {"mode": "max"}, "seed": 1}
    search.config, search.config_loader = OmegaConf.create(place), Mock()
    summary, launched = {"status": "interrupted"}, []

    def launch(batch, initial_job_idx):
        for number in range(initial_job_idx, initial_job_idx + len(batch)):
            launched.append(number)
            assert len(launched) <= 6, "jobs without end"
            (tmp_path / f"job_{number}").mkdir(exist_ok=True)
            (tmp_path / f"job_{number}" / "summary.json").write_text(json.dumps(summary))

    search.launcher = Mock(launch=launch)
    search.sweep([])
    assert launched == [0, 1, 2] and "interrupted: job_0, job_1, job_2;" in capsys.readouterr().out
    summary |= {"status": "completed", "monitor": {"name": "val/top1", "best": 0.5}}
    search.sweep([])
    assert launched == [0, 1, 2, 0, 1, 2] and "interrupted" not in capsys.readouterr().out
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.COMPLETE] * 3


def test_a_result_without_a_value_is_nan():
    from shared.sweeps.job import result

    assert math.isnan(result({"status": "failed", "monitor": {"best": 0.5}}))
    assert math.isnan(result({"status": "completed", "monitor": None}))
    assert result({"status": "early_stopped", "monitor": {"best": 0.5}}) == 0.5
