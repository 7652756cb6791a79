"""The HTML page: self-contained, escaped, complete; and drawn without complaint by a real browser."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from shared.runs.pages.chart import Chart, Line
from shared.runs.pages.page import page, write_page
from shared.runs.reading.configs import differences
from shared.runs.reading.readers import read_run

EVIL = "<script>alert('x')</script>"


def make_run(folder, lr=0.1, note="plain"):
    folder.mkdir(parents=True)
    rows = [f"{e},{lr * (1 if e < 6 else 0.1)},{2 / e},{1 - 1 / (e + 1)},{500 + e}" for e in range(1, 11)]
    (folder / "metrics.csv").write_text(
        "epoch,lr,train/loss,val/acc,time/samples_per_second\n" + "\n".join(rows)
    )
    (folder / "config.yaml").write_text(
        f"optimizer: {{lr: {lr}}}\nnote: {json.dumps(note)}\nrun_dir: {folder}\n"
    )
    summary = {
        "project": "demo",
        "status": "completed",
        "git_commit": "abc123+changes",
        "seed": 1,
        "parameters": 12345,
    }
    summary["events"] = [{"epoch": 4, "kind": note}]
    summary["versions"] = {"torch": "2.13"}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("- seed=1\n- run_dir=x\n- note='it''s; rm -rf'\n")
    (folder / "confusion.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return read_run(folder)


def test_everything_of_a_run_stands_on_its_page(tmp_path):
    made = page([make_run(tmp_path / "run")], {})
    for words in ("val/acc", "90.91 %", "throughput", "data:image/png;base64", "abc123", "had been changed", "12,345",
                  "python projects/demo/train.py seed=1", "torch", "optimizer.lr", "healthy", "plain"):  # fmt: skip
        assert words in made, words
    assert made.count("<figure") == 5 and "run_dir=x" not in made
    assert "restart ×" not in made  # a step down is none


def test_a_metric_that_a_task_logs_beside_the_monitored_one_is_drawn(tmp_path):
    folder = make_run(tmp_path / "run").path
    lines = (folder / "metrics.csv").read_text().splitlines()
    added = [f"{line},{'val/kappa' if n == 0 else n / 20}" for n, line in enumerate(lines)]
    (folder / "metrics.csv").write_text("\n".join(added))
    made = page([read_run(folder)], {})
    assert made.count("<figure") == 6 and "other metrics" in made and "val/kappa" in made


def test_nothing_is_fetched_and_nothing_injected(tmp_path):
    made = page([make_run(tmp_path / EVIL.replace("/", "_"), note=EVIL)], {})
    assert "<script>alert" not in made and "&lt;script&gt;alert" in made
    assert not re.search(r"(src|href)=.?(https?:|//)", made) and "@import" not in made and "url(" not in made


def test_runs_side_by_side(tmp_path):
    runs = [make_run(tmp_path / "a", 0.1), make_run(tmp_path / "b", 0.2)]
    made = page(runs, {})
    assert "Config differences" in made and "<td>0.1</td><td>0.2</td>" in made and "<td>run_dir" not in made
    assert differences([{"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}]) == [["a.c", "-", "2"]]


@pytest.mark.parametrize(
    "values", [[], [np.nan] * 3, [0.5], [0.0, 0.0, 0.0], [1e-300, 1e300], [-1.0, 1.0], [0, 1e-9]]
)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_charts_of_odd_values(values, logarithmic):
    line = Line("x", np.arange(len(values)), np.array(values, float))
    drawn = Chart("t", [line], "{:.3g}".format, logarithmic=logarithmic).figure()
    assert drawn.startswith("<figure") and "nan" not in drawn and "inf" not in drawn.replace("infinity", "")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_draws_it_without_complaint(tmp_path, width):
    target = write_page([make_run(tmp_path / "run")], tmp_path / "page.html")
    shot = tmp_path / "shot.png"
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--window-size={width},1600", f"--screenshot={shot}", target.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr and shot.stat().st_size > 20_000
