"""train, evaluate, export and predict as commands, each in a process of its own: a real one would have no torch."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shared.errors import UserError
from tests.conftest import ROOT

SMALL = ["model.channels=[8,16,32]", "model.blocks=[0,1,1]", "model.layers=1", "model.heads=2"]
RUN = ["data.count=32", "data.val_count=16", "effective_batch_size=8", "hardware=cpu", "hardware.workers=0"]
SAMPLES = ROOT / "docs/samples/thai"
ENTRY = "import sys; from shared.command.cli import {0}; sys.argv = {1!r}; {0}(sys.argv[0]); "
ENTRY += "print('torch' in sys.modules)"


def python(*arguments: str) -> subprocess.CompletedProcess:
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment |= {"TRAINYARD_LEDGER": "/dev/null"}
    line = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)


def entry(name: str, *arguments: str) -> list[str]:
    """What an entry point prints; its last line says whether torch was imported."""
    argv = [str(ROOT / f"projects/thai_ocr/{name}.py"), *arguments]
    done = python("-c", ENTRY.format(name, argv))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    settings = ["logger=tensorboard", "trainer.max_epochs=2", f"run_dir={folder}"]
    return folder, entry("train", *RUN, *SMALL, *settings)


def test_a_run_leaves_what_every_run_leaves_and_knows_no_torch(trained):
    folder, said = trained
    assert said[-2:] == [f"run: {folder}", "False"]
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    names = {"summary.json", "metrics.csv", "config.yaml", "train.log", "run_id", "report.png"}
    assert names | {f"checkpoints/{role}.ckpt" for role in ("best", "last", "previous")} <= found
    assert {"readings.png", "confusions.tsv"} <= found
    shown = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert len(shown.Images("val/readings")) == 2 and shown.Tensors("val/confusions")
    lines = (folder / "train.log").read_text().splitlines()
    assert len([line for line in lines if "epoch 1/2" in line]) == 1


def test_its_summary_has_the_keys_of_a_lightning_run(trained, tiny):
    other = tiny("trainer.max_epochs=1")
    ours = json.loads((trained[0] / "summary.json").read_text())
    assert ours.keys() == other.summary.keys()
    assert ours["status"] == "completed" and ours["monitor"].keys() == other.summary["monitor"].keys()
    with (trained[0] / "metrics.csv").open() as one, (other.run_dir / "metrics.csv").open() as two:
        heads = [next(csv.reader(file)) for file in (one, two)]
    assert heads[0][:3] == heads[1][:3] == ["step", "epoch", "lr"]
    assert {"lr/cycle", "train/loss", "train/grad_norm", "time/samples_per_second"} <= set(heads[0]) & set(
        heads[1]
    )
    assert {"val/cer", "val/cer_clear", "val/line_accuracy_degraded"} <= set(heads[0])


def test_evaluate_scores_a_checkpoint_as_the_run_did(trained):
    folder, _ = trained
    said = entry("evaluate", f"checkpoint={folder / 'checkpoints/last.ckpt'}", "task.beam=1")
    scored, summary = json.loads(said[-2]), json.loads((folder / "summary.json").read_text())
    assert said[-1] == "False"
    assert scored["val/cer"] == pytest.approx(summary["monitor"]["last"], abs=1e-6)


def test_an_exported_network_reads_files(trained, tmp_path):
    script, best = str(ROOT / "projects/thai_ocr/export.py"), trained[0] / "checkpoints/best.ckpt"
    done = python(script, f"checkpoint={best}", f"out={tmp_path / 'net.onnx'}", "lines=4")
    assert done.returncode == 0, done.stderr
    done = python(
        str(ROOT / "projects/thai_ocr/predict.py"), f"images={SAMPLES}", f"checkpoint={tmp_path / 'net.onnx'}"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(list(SAMPLES.glob("*.png")))


@pytest.mark.slow
def test_paddleocr_reads_the_exported_folder_as_the_network_reads(trained, tmp_path):
    script, best = str(ROOT / "projects/thai_ocr/export.py"), trained[0] / "checkpoints/best.ckpt"
    done = python(script, f"checkpoint={best}", f"out={tmp_path / 'net'}", "lines=16")
    assert done.returncode == 0, done.stderr
    for engine in ("paddle_static", "onnxruntime"):
        assert f"{engine}: 100.0 % of 16 validation lines read as before" in done.stdout
    names = {path.name for path in (tmp_path / "net").iterdir()}
    assert names == {"inference.json", "inference.onnx", "inference.pdiparams", "inference.yml"}


def test_a_gate_refuses_what_reads_otherwise(monkeypatch):
    from projects.thai_ocr.inference import gates

    lines = [{"image": np.zeros((32, 64), np.uint8), "text": "ก"}] * 8
    monkeypatch.setattr(gates, "read_officially", lambda images, folder, engine: ["ก"] * 7 + ["ข"])
    with pytest.raises(UserError, match=r"x: 87.5 % of 8"):
        gates.compare_lines(lines, ["ก"] * 8, Path(), "x", "thai", "fp32")
    monkeypatch.setattr(gates, "read_officially", lambda images, folder, engine: ["ก"] * 8)
    assert gates.compare_lines(lines, ["ก"] * 8, Path(), "x", "thai", "fp32").startswith("x: 100.0 % of 8")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("runs", "holds best.ckpt"),
        (".", "no name"),
        ("..", "no name"),
        ("notes.txt", "file or a link"),
        ("link", "file or a link"),
        ("notes.txt/net", "cannot write"),
    ],
)
def test_an_export_deletes_nothing_but_an_earlier_one(out, said, tmp_path, monkeypatch):
    from projects.thai_ocr.inference import gates

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to("runs")
    for name in ("runs/best.ckpt", "runs/inference.yml", "notes.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=said):
        gates.gate_folder(None, None, Path(out), "fp32", 1)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"link", "notes.txt", "runs", "runs/best.ckpt", "runs/inference.yml"}


def test_an_earlier_export_may_be_replaced(tmp_path):
    from projects.thai_ocr.inference import gates

    for name in gates.EXPORTED:
        (tmp_path / name).write_text("of before")
    gates.check_replaceable(tmp_path)
    gates.check_replaceable(tmp_path / "new")


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("export.py", ["checkpoint=none.ckpt", "out=x"], "none.ckpt"),
        ("train.py", ["hardware=a100"], "trainer / hardware"),
        ("train.py", ["model=thai_ocr_ppocrv5_mobile"], "data.height=48"),
    ],
)
def test_what_a_user_did_wrong_is_one_line(script, arguments, said, tmp_path):
    extra = [f"run_dir={tmp_path / 'run'}"] if script == "train.py" else []
    done = python(str(ROOT / f"projects/thai_ocr/{script}"), *arguments, *extra)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
