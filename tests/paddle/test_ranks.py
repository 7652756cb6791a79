"""Two processes of paddle.distributed.launch train one network; the first one alone writes."""

import json
import subprocess
import sys

import pytest

from shared.checkpoints.file import read
from tests.conftest import ROOT

RUN = """trainer.max_epochs=2 data.count=32 data.val_count=10 effective_batch_size=8 hardware=cpu hardware.workers=0
logger=csv model.channels=[8,16,32] model.blocks=[0,1,1] model.layers=1 model.heads=2 callbacks=ema"""


@pytest.mark.slow
def test_two_ranks_train_as_one_run(tmp_path):
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TRAINYARD_LEDGER": "/dev/null"}
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--backend", "gloo"]
    launch += ["--log_dir", str(tmp_path / "logs"), str(ROOT / "projects/thai_ocr/train.py")]
    line = [sys.executable, *launch, *RUN.split(), f"run_dir={tmp_path / 'run'}"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    logs = [(tmp_path / f"logs/workerlog.{rank}").read_text() for rank in range(2)]
    assert done.returncode == 0, logs
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["status"] == "completed" and summary["steps"] == 8
    assert summary["plan"]["effective_batch"] == "8 = 4 x 1 accumulation x 2 devices"
    assert summary["plan"]["val_samples"] == 10
    assert len((tmp_path / "run/metrics.csv").read_text().splitlines()) == 3
    assert read(tmp_path / "run/checkpoints/last.ckpt")["trainyard"]["devices"] == 2
    assert "epoch 2/2" in logs[0] and "epoch 2/2" not in logs[1]
