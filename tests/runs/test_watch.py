"""The live view: states from files, half-written ones included."""

import os

import pytest
from rich.console import Console

from shared.errors import UserError
from shared.runs.watch import Watched, newest_runs, panel, sparkline, state


def growing(folder, epochs):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{e},{e},{0.1 * (1 - (e - 1) % 6 / 6):.4f},{0.9 - 0.5 / e}" for e in range(1, epochs + 1)]
    (folder / "metrics.csv").write_text("step,epoch,lr,val/top1\n" + "\n".join(rows) + "\n")
    (folder / "config.yaml").write_text(
        "schedule: {_target_: shared.policy.schedule.CosineRestarts, t_0: 6, interval: epoch}\n"
        "optimizer: {lr: 0.1}\ntrainer: {max_epochs: 18}\nmonitor: {name: val/top1, mode: max}\n"
    )
    return folder


def test_state_of_a_running_run(tmp_path):
    watched = Watched(growing(tmp_path / "run", 9))
    (tmp_path / "run" / "events.jsonl").write_text(
        '{"kind": "restart", "epoch": 7, "message": "LR x9"}\n{"kind"'
    )
    watched.read()
    found = state(watched)
    assert (found["epoch"], found["epochs"], found["status"]) == (9, 18, "running")
    assert found["next_restart"] == 13 and found["metric"] == "val/top1" and found["best_epoch"] == 9
    assert found["forecast"]["epoch"] == 18 and found["forecast"]["p10"] < found["forecast"]["p90"]
    assert found["events"] == ["epoch 7: LR x9"]
    console = Console(record=True, width=90)
    console.print(panel(watched))
    assert "9 of 18" in console.export_text()


def test_events_after_a_summary_are_seen(tmp_path):
    run = growing(tmp_path / "run", 9)
    (run / "summary.json").write_text('{"status": "interrupted", "events": [{"epoch": 2, "message": "old"}]}')
    watched = Watched(run)
    watched.read(with_forecast=False)
    assert state(watched)["events"] == ["epoch 2: old"]  # all there is of a copied folder
    lines = ('{"epoch": 2, "message": "old"}', '{"epoch": 9, "message": "resumed"}')
    (run / "events.jsonl").write_text("\n".join(lines) + "\n")
    watched.read(with_forecast=False)
    assert state(watched)["events"] == ["epoch 2: old", "epoch 9: resumed"]


def test_a_look_at_a_bad_moment_costs_only_itself(tmp_path):
    watched = Watched(growing(tmp_path / "run", 5))
    watched.read(with_forecast=False)
    (tmp_path / "run" / "metrics.csv").write_text("")
    watched.read(with_forecast=False)
    assert state(watched)["epoch"] == 5 and watched.trouble
    growing(tmp_path / "run", 6)
    watched.read(with_forecast=False)
    assert state(watched)["epoch"] == 6 and not watched.trouble
    assert "trouble" in state(Watched(tmp_path / "nowhere"))


def test_silence_is_noticed(tmp_path):
    run = growing(tmp_path / "run", 5)
    os.utime(run / "metrics.csv", (1e9, 1e9))
    watched = Watched(run)
    watched.read(with_forecast=False)
    assert state(watched)["status"].startswith("quiet for")


def test_the_newest_runs(tmp_path):
    with pytest.raises(UserError, match="no run to watch"):
        newest_runs(tmp_path)
    for name in ("a", "b"):
        growing(tmp_path / "project" / name, 3)
    os.utime(tmp_path / "project" / "a" / "metrics.csv", (1e9, 1e9))
    assert [run.name for run in newest_runs(tmp_path)] == ["b", "a"]


def test_sparkline():
    import numpy as np

    assert sparkline(np.array([0, 0.5, 1])) == "▁▄█" and sparkline(np.array([np.nan])) == ""
