"""The forecast as a callback of a real run: logged, harmless by default, a pruner when asked."""

import csv
import json

from shared.callbacks.forecast import best_of_sweep

FORECAST = ["callbacks=forecast", "callbacks.forecast.min_epochs=4", "trainer.max_epochs=8"]


def column(run_dir, name):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def test_forecasts_are_logged_and_stop_nothing(tiny):
    run = tiny(*FORECAST, "callbacks.forecast.target=0.999")
    assert run.code == 0 and run.summary["status"] == "completed" and run.summary["epochs"] == 8
    finals, chances = column(run.run_dir, "forecast/final"), column(run.run_dir, "forecast/p_target")
    assert len(finals) >= 3 and all(0 <= value <= 1 for value in finals + chances)


def test_a_hopeless_run_is_ended_when_asked(tiny):
    hopeless = [
        "callbacks.forecast.target=0.9999",
        "callbacks.forecast.stop_below=1.1",
        "callbacks.forecast.patience=2",
    ]
    run = tiny(*FORECAST, *hopeless)
    assert run.code == 0 and run.summary["status"] == "early_stopped" and run.summary["epochs"] == 5
    (event,) = [e for e in run.summary["events"] if e["kind"] == "forecast_stop"]
    assert "0.9999 has a chance of" in event["message"]


def test_a_sweeps_target_is_its_best_finished_job(tmp_path):
    class Rails:
        monitor, mode = "val/top1", "max"

    for name, best in (("job_0", 0.6), ("job_1", 0.8), ("job_2", None)):
        (tmp_path / name).mkdir()
        monitor = {"name": "val/top1", "best": best}
        (tmp_path / name / "summary.json").write_text(json.dumps({"monitor": monitor}))
    assert best_of_sweep(tmp_path / "job_2", Rails) == 0.8
    assert best_of_sweep(tmp_path / "job_1", Rails) == 0.6
    assert best_of_sweep(tmp_path / "elsewhere" / "job_9", Rails) is None


def test_a_sweep_of_hopeless_error_rates_sets_no_target(tmp_path):
    """A CER of 105 % would be read as one of 1.05 %."""

    class Rails:
        monitor, mode = "val/cer", "min"

    (tmp_path / "job_0").mkdir()
    for best, target in ((1.05, None), (0.9, 0.9)):
        summary = {"monitor": {"name": "val/cer", "best": best}}
        (tmp_path / "job_0" / "summary.json").write_text(json.dumps(summary))
        assert best_of_sweep(tmp_path / "job_1", Rails) == target
