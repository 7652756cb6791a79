"""A job beside finished ones: ended when it is behind most of them, and only then."""

import pytest

from shared.callbacks.median_pruner import MedianPruner, best_by
from tests.fit.small_run import events, fit, kinds


def beside(folder, name, losses):
    (folder / name).mkdir()
    rows = "".join(f"{6 * epoch},{epoch},0.1,{loss}\n" for epoch, loss in enumerate(losses, 1))
    (folder / name / "metrics.csv").write_text("step,epoch,lr,val/loss\n" + rows)


def test_the_best_so_far_of_a_job_that_has_come_so_far(tmp_path):
    beside(tmp_path, "job_1", [0.5, 0.3, 0.4])
    found = [best_by(tmp_path / "job_1", "val/loss", "min", epoch) for epoch in (1, 2, 3, 4)]
    assert found == [0.5, 0.3, 0.3, None]
    assert best_by(tmp_path / "job_1", "val/top1", "max", 1) is None
    assert best_by(tmp_path / "nowhere", "val/loss", "min", 1) is None


@pytest.mark.parametrize(("losses", "epochs"), [([1e-9] * 4, 2), ([1e9] * 4, 4), ([1e-9], 4)])
def test_a_job_behind_the_others_ends(tmp_path, losses, epochs):
    for number in (1, 2, 3):
        beside(tmp_path, f"job_{number}", losses)
    task = fit(tmp_path / "job_4", epochs=4, callbacks=[MedianPruner(warmup_epochs=2, min_jobs=3)])
    assert task.trainer.current_epoch == epochs
    assert (kinds(tmp_path / "job_4") == ["pruned"]) == (epochs == 2)
    if epochs == 2:
        assert task.rails.summary["status"] == "early_stopped"
        assert "the median of 3 jobs" in events(tmp_path / "job_4")[0]["message"]
