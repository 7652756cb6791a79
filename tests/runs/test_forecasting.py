"""Forecasts against what really came: the measured targets, the contract, and the doubts that must be said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import UserError
from shared.runs.cli import plain
from shared.runs.forecast.context import as_fraction
from shared.runs.forecast.draw import save
from shared.runs.forecast.forecast import forecast
from shared.runs.forecast.model.fit import Curve, fit
from shared.runs.forecast.model.prior import Prior
from shared.runs.forecast.plan import make_plan
from shared.runs.forecast.result import Request
from shared.runs.forecast.words import as_json, as_text
from shared.runs.reading.readers import read_run

TABLE = Path(__file__).parents[1] / "policy" / "tables" / "imagenet_resnet50_run.csv"
RESTARTS = "cosine_restarts:t_0=30,eta_min=1e-5,lr=0.05"


def cut(tmp_path, epochs):
    """The 31-epoch table as it stood after `epochs` epochs."""
    lines = TABLE.read_text().splitlines()
    (tmp_path / "run.csv").write_text("\n".join(lines[: epochs + 1]) + "\n")
    return read_run(tmp_path / "run.csv")


def at(made, epoch, level=0.5):
    return made.quantiles[level][epoch - made.last_epoch - 1]


@pytest.mark.parametrize(("seen", "allowed"), [(10, 0.035), (15, 0.035), (20, 0.020), (23, 0.015)])
def test_the_end_of_the_first_cycle(tmp_path, seen, allowed):
    made = forecast(cut(tmp_path, seen), Request(until=31, schedule=RESTARTS), what_ifs=False)
    assert abs(at(made, 30) - 0.6906) <= allowed
    assert at(made, 30, 0.1) <= 0.6906 <= at(made, 30, 0.9)
    if seen == 23:
        assert at(made, 30, 0.9) - at(made, 30, 0.1) <= 0.06


@pytest.fixture(scope="module")
def announced(tmp_path_factory):
    """The forecast of 23 epochs under the schedule that restarts at 31."""
    run = cut(tmp_path_factory.mktemp("run"), 23)
    return forecast(run, Request(until=60, schedule=RESTARTS, target=0.75, patience=15))


def test_the_restart_is_announced_with_its_size(announced):
    made = announced
    (restart,) = made.restarts
    assert restart["epoch"] == 31 and restart["lr_ratio"] == pytest.approx(340, abs=1)
    assert abs(restart["after_median"] - 0.4855) <= 0.04
    assert 48 <= restart["regained_epoch"] <= 57
    assert "fires at epoch 45, before the best is passed" in made.early_stopping
    assert made.target["probability"] < 0.5
    names = [row["name"] for row in made.what_ifs]
    assert "go on as planned" in names and any("T_0=60" in name for name in names)
    assert made.what_ifs[0]["median"] == pytest.approx(made.median[-1], abs=0.01)
    assert {mark["epoch"] for mark in made.milestones} < set(range(24, 61))


def test_the_json_contract(tmp_path):
    run = cut(tmp_path, 12)
    found = json.loads(json.dumps(plain(as_json(forecast(run, Request(target=0.75), what_ifs=False)))))
    keys = {
        "metric",
        "mode",
        "last_epoch",
        "epochs",
        "median",
        "p10",
        "p25",
        "p75",
        "p90",
        "restarts",
        "target",
    }
    assert keys | {"warnings"} <= set(found)
    assert found["mode"] == "max" and found["last_epoch"] == 12 and found["epochs"] == list(range(13, 31))
    assert set(found["target"]) == {"value", "probability", "epoch_median"}
    bands = np.array([found[key] for key in ("p2_5", "p10", "p25", "median", "p75", "p90", "p97_5")])
    assert (np.diff(bands, axis=0) >= 0).all() and bands.min() >= 0 and bands.max() <= 1
    again = json.loads(json.dumps(plain(as_json(forecast(run, Request(target=0.75), what_ifs=False)))))
    assert again == found


def test_a_run_is_not_told_its_own_end():
    from shared.runs.forecast.model.prior import load_library

    error = 1 - read_run(TABLE).columns["test_accuracy_percent"]
    assert sum(run.is_run(error[:10]) for run in load_library()) == 1


def synthetic(
    tmp_path, metric, value, epochs=30, lr=lambda e: 0.1 * (1 + np.cos(np.pi * e / 40)) / 2, header="lr"
):
    rng = np.random.default_rng(1)
    rows = [f"{e},{lr(e - 1)},{value(e) * (1 + 0.01 * rng.normal())}" for e in range(1, epochs + 1)]
    (tmp_path / "s.csv").write_text(f"epoch,{header},{metric}\n" + "\n".join(rows))
    return read_run(tmp_path / "s.csv")


@pytest.mark.parametrize("metric", ["val/cer", "val/loss", "val/eer"])
def test_lower_is_better_goes_down(tmp_path, metric):
    made = forecast(
        synthetic(tmp_path, metric, lambda e: 0.02 + 0.9 / e), Request(target=0.2), what_ifs=False
    )
    assert made.mode == "min" and 0 <= made.median[-1] < 0.055
    assert made.target["probability"] == 1.0


@pytest.mark.parametrize(
    ("metric", "given", "meant"),
    [
        ("val/eer", 1.5, 0.015), ("val/cer", 1, 0.01), ("val/cer", 0.9, 0.9),
        ("val/top1", 75, 0.75), ("val/top1", 1, 1), ("val/loss", 1.5, 1.5), ("val/cer", None, None),
    ],
)  # fmt: skip
def test_a_target_in_percent_is_known_by_its_size(metric, given, meant):
    assert as_fraction(metric, given) == meant


def test_the_lag_of_the_logged_rate_is_found(tmp_path):
    """Logged after the scheduler's step, the restart at 11 and 21 stands next to epochs 10 and 20."""

    def used(e):
        return 0.01 + 0.1 * (1 + np.cos(np.pi * (e % 10) / 10)) / 2

    def error(e):
        return 0.3 + 0.3 / e + 3 * used(e - 1)

    early = forecast(
        synthetic(tmp_path, "val/cer", error, 26, lambda e: used(e + 1)), Request(until=30), what_ifs=False
    )
    right = forecast(synthetic(tmp_path, "val/cer", error, 26, used), Request(until=30), what_ifs=False)
    assert (early.lag, right.lag) == (1, 0)
    assert any("one epoch early" in warning for warning in early.warnings)
    assert early.median[-1] == pytest.approx(right.median[-1], abs=0.03)


def test_a_marked_event_is_a_change_point(tmp_path):
    run = synthetic(
        tmp_path, "val/acc", lambda e: 0.5 + 0.004 * e + (0.2 if e >= 20 else 0), 30, lambda e: 0.1
    )
    blind = forecast(run, Request(until=40), what_ifs=False)
    told = forecast(run, Request(until=40, events=(20,)), what_ifs=False)

    def width(made):
        return np.mean(made.quantiles[0.9] - made.quantiles[0.1])

    assert width(told) < width(blind) and told.median[-1] > 0.78


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epochs": 5}, "only 5 epochs"),
        ({"header": "x"}, "no learning rate in the log"),
        ({"epochs": 8, "lr": lambda e: 0.1}, "beyond epoch 16"),
        ({"epochs": 12, "lr": lambda e: 0.1 * 0.9**e}, "no schedule recognised"),
    ],
)
def test_doubts_are_said(tmp_path, given, words):
    made = forecast(
        synthetic(tmp_path, "val/acc", lambda e: 0.8 - 0.5 / e, **given), Request(until=40), what_ifs=False
    )
    assert words in " | ".join(made.warnings)


def test_long_runs_are_folded(tmp_path):
    run = synthetic(tmp_path, "val/acc", lambda e: 0.8 - 0.5 / e**0.5, 700, lambda e: 0.1 * (1 - e / 1000))
    made = forecast(run, Request(until=1000), what_ifs=False)
    assert len(made.median) == 300 and 0.75 < made.median[-1] < 0.82


def test_the_band_does_not_shrink_with_the_length_of_the_run():
    half = {}
    for epochs in (160, 1600):
        error = 0.3 + 0.01 * np.random.default_rng(0).normal(size=epochs)
        rates = np.full(epochs + 1, 0.1)
        found = fit(Curve(error, rates[:epochs]), Prior([], 0.1), 0.1, steps=400)
        low, high = np.quantile(found.paths(rates)[1][:, -1], [0.1, 0.9])
        half[epochs] = (high - low) / 2

    assert all(0.0105 < width < 0.017 for width in half.values()), half  # 0.0128 for white noise of 0.01


@pytest.mark.parametrize(
    ("lr", "epochs", "future"),
    [
        (lambda e: 1e-5 + 0.05 * (1 + np.cos(np.pi * e / 40)) / 2, 20, {40: 1e-4}),
        (lambda e: 0.1 * (1 - e / 50), 20, {30: 0.042, 50: 0.002}),
        (lambda e: 0.1, 20, {35: 0.1}),
        (lambda e: 0.1 * (1 + np.cos(np.pi * (e % 10) / 10)) / 2, 25, {31: 0.1, 36: 0.05}),
    ],
    ids=["cosine", "linear", "constant", "restarts"],
)
def test_a_schedule_is_recognised_by_its_past(tmp_path, lr, epochs, future):
    run = synthetic(tmp_path, "val/acc", lambda e: 0.5, epochs, lr)
    plan = make_plan(run, 50, None, None)
    for epoch, rate in future.items():
        assert plan.lr[epoch - 1] == pytest.approx(rate, abs=0.1 * rate + 1e-4)


def test_our_own_config_is_the_plan(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "step,epoch,lr,val/top1\n" + "\n".join(f"{e},{e},0.1,{e / 30}" for e in range(1, 6))
    )
    (tmp_path / "config.yaml").write_text(
        "schedule: {_target_: shared.policy.schedule.CosineRestarts, t_0: 4, t_mult: 2, interval: epoch}\n"
        "optimizer: {lr: 0.1}\ntrainer: {max_epochs: 20}\nmonitor: {name: val/top1, mode: max}\n"
    )
    run = read_run(tmp_path)
    assert run.metric()[0] == "val/top1"
    plan = make_plan(run.until(5), None, None, None, run)
    assert plan.until == 20 and "config" in plan.source
    assert plan.lr[12] == pytest.approx(0.1) and plan.lr[11] < 0.02


def cosine(epochs):
    return lambda e: 0.1 * (1 + np.cos(np.pi * e / epochs)) / 2


def extended(run, by):
    """The request for 30 epochs under one cosine, as the run's own config or in words tells it."""
    if by == "words":
        return Request(until=30, schedule="cosine:lr=0.1")
    schedule = {"_target_": "shared.policy.schedule.Cosine", "interval": "epoch"}
    run.config = {"schedule": schedule, "optimizer": {"lr": 0.1}, "trainer": {"max_epochs": 30}}
    return Request(until=30)


@pytest.mark.parametrize("by", ["words", "config"])
def test_a_new_schedule_leaves_the_past_as_it_was(tmp_path, by):
    """Cosine to 0 in 10 epochs, extended to 30."""
    run = synthetic(tmp_path, "val/acc", lambda e: 0.75 - 0.5 / e - 1.5 * cosine(10)(e - 1), 10, cosine(10))
    made = forecast(run, extended(run, by), what_ifs=False)
    assert made.lr == pytest.approx([*map(cosine(10), range(10)), *map(cosine(30), range(10, 30))])
    assert made.lag == 0 and not any("one epoch early" in warning for warning in made.warnings)


def test_the_plan_holds_where_the_log_runs_ahead_of_it_or_begins_late(tmp_path):
    plan = list(map(cosine(30), range(30)))
    for first, ahead in ((1, 1), (6, 0)):
        run = synthetic(tmp_path, "val/acc", lambda e: 0.5, 12, lambda e, by=ahead: cosine(30)(e + by))
        late = replace(run, epochs=run.epochs[first - 1 :], columns={"lr": run.lr[first - 1 :]})
        assert make_plan(late, 30, None, "cosine:lr=0.1").lr == pytest.approx(plan)


def test_later_rows_without_a_metric_are_the_plan(tmp_path):
    lines = TABLE.read_text().splitlines()
    blank = [",".join([line.split(",")[0], "", "", line.split(",")[3]]) for line in lines[21:]]
    (tmp_path / "run.csv").write_text("\n".join(lines[:21] + blank) + "\n")
    made = forecast(read_run(tmp_path / "run.csv"), Request(target=69.0), what_ifs=False)
    assert made.last_epoch == 20 and list(made.epochs) == list(range(21, 32)) and made.target["value"] == 0.69
    assert [restart["epoch"] for restart in made.restarts] == [31] and "later rows" in made.plan


def test_a_plan_from_a_file_and_wrong_ones(tmp_path):
    run = cut(tmp_path, 10)
    (tmp_path / "plan.csv").write_text("epoch,lr\n11,0.04\n20,0.0\n")
    assert make_plan(run, None, tmp_path / "plan.csv", None).lr[-1] == 0
    (tmp_path / "plan.csv").write_text("epoch,lr\n1,0.04\n")
    schedules = ("spiral", "cosine:q=1", "cosine:t_max=x", "cosine_restarts:t_0=-1", "cosine:epochs=10")
    others = ({"plan": tmp_path / "plan.csv"}, {"until": 5}, {"metric": "nope"})
    for wrong in (*({"schedule": words} for words in schedules), *others):
        with pytest.raises(UserError):
            forecast(run, Request(**wrong))


def test_drawn_as_picture_and_page(tmp_path, announced):
    made = announced
    for name, head in (("f.png", b"\x89PNG"), ("f.svg", b"<?xml"), ("f.html", b"<!doctype html>")):
        save(made, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    assert "http" not in (tmp_path / "f.html").read_text().replace("http://www.w3.org", "")
    assert "restart at epoch 31" in as_text(made)
    with pytest.raises(UserError, match="cannot draw"):
        save(made, tmp_path / "f.docx")


@pytest.mark.slow
def test_backtest_on_real_runs_beats_its_rivals():
    """Leave one out on the three FFCV runs: the promise of the README."""
    from shared.runs.forecast.backtest.backtest import _history, cuts, trial
    from shared.runs.forecast.backtest.scorecard import totals
    from shared.runs.forecast.model.prior import load_library

    folder = Path(__file__).resolve().parents[2] / "shared/runs/library/real"
    trials = []
    for file in sorted(folder.glob("ffcv*.csv")):
        name, error, lr, _ = _history(file, "val/top1")
        trials += [trial(name, error, lr, seen, list(load_library())) for seen in cuts(len(error))]
    found = totals(trials)
    assert found["mean_absolute_miss"] <= 0.03
    assert 0.7 <= found["coverage_80"] <= 0.9
    assert all(found["mean_absolute_miss"] < rival / 2 for rival in found["rivals"].values())
