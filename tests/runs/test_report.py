"""The run folder's own picture: drawn from the two files alone, whatever state they are in."""

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from shared.errors import UserError
from shared.runs.pages.picture import draw
from shared.runs.pages.report import write_report
from shared.runs.reading.folder import read_folder


def write_run(folder, rows, summary=None, header="step,epoch,lr,train/loss,val/loss,val/top1"):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.csv").write_text("\n".join([header, *(",".join(map(str, r)) for r in rows)]) + "\n")
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def restart_run(folder):
    rows = []
    for epoch in range(1, 13):
        lr = 1e-4 + 0.05 * (1 + math.cos(math.pi * ((epoch - 1) % 10) / 10)) / 2
        rows.append((epoch * 10 - 5, epoch, lr, 3 / epoch, "", ""))
        rows.append((epoch * 10, epoch, lr, "", 3 / epoch + 0.1, 0.7 - 0.6 / epoch - 3 * lr))
    monitor = {"name": "val/top1", "mode": "max"}
    events = [{"epoch": 4, "kind": "skipped_step"}, {"epoch": 11, "kind": "lr_restart"}]
    return write_run(
        folder, rows, {"project": "demo", "status": "completed", "monitor": monitor, "events": events}
    )


def texts(figure):
    found = [text.get_text() for text in figure.texts]
    return " | ".join(found + [t.get_text() for panel in figure.axes for t in panel.texts])


def test_marks_best_restart_and_events(tmp_path):
    figure = Figure()
    draw(figure, read_folder(restart_run(tmp_path)))
    said = texts(figure)
    assert "best" in said and "epoch 10" in said
    assert "LR restart ×" in said and "epoch 11" in said
    assert "skipped step" in said
    assert said.count("restart") == 1  # the summary's own restart event is not drawn twice


def test_writes_a_png_and_leaves_nothing_else(tmp_path):
    target = write_report(restart_run(tmp_path))
    assert target.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv", "report.png", "summary.json"]


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 1, 0.1, 2.3, 2.0, 0.1)],
        [(1, 1, 0.1, "nan", "nan", "nan")],
        [(1, 1, "", 2.3, "", "")],
        [(e, e, 0, "inf" if e > 3 else 1 / e, "", 0.5) for e in range(1, 9)],
        [(e, e, 0.1 * 0.5**e, 10.0**e, -1, "nan" if e > 3 else 0.1) for e in range(1, 300)],
    ],
    ids=["one epoch", "all NaN", "no metric yet", "inf, LR zero", "huge range"],
)
def test_odd_runs_are_drawn(tmp_path, rows):
    assert write_report(write_run(tmp_path, rows)).stat().st_size > 5_000


def test_non_finite_epoch_is_marked(tmp_path):
    rows = [(e, e, 0.1, "nan" if e > 7 else 1 / e, 1.0, 0.5) for e in range(1, 12)]
    run = read_folder(write_run(tmp_path, rows))
    assert run.first_bad == {"train/loss": 8}
    figure = Figure()
    draw(figure, run)
    assert "train/loss non-finite" in texts(figure)


def test_a_short_run_shows_its_steps(tmp_path):
    rows = [(s, 1 + (s - 1) // 30, 0.1, 1 / s, 1.0 if s % 30 == 0 else "", "") for s in range(1, 61)]
    from shared.runs.pages.report import by_step

    run = by_step(read_folder(write_run(tmp_path, rows)))
    assert np.isfinite(run.columns["train/loss"]).sum() == 60
    assert run.epochs[-1] == 2.0


def test_broken_summary_costs_a_warning_not_the_picture(tmp_path):
    folder = restart_run(tmp_path)
    (folder / "summary.json").write_text("{ not json")
    assert write_report(folder).is_file()
    assert any("summary.json" in warning for warning in read_folder(folder).warnings)


def test_an_empty_folder_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match=r"no metrics\.csv"):
        write_report(tmp_path)
