"""Fifty jobs in one process: its memory after the last is what it was after the first ones."""

import time

import psutil
import pytest

from tests.conftest import TINY, start

JOBS, SETTLED = 50, 15


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_the_jobs(tmp_path):
    settings = [
        *TINY,
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=1",
        f"run_dir={tmp_path}",
        f"seed=range({JOBS})",
        "-m",
    ]
    sweep = start("imagenet_resnet/train.py", *settings)
    process, after = psutil.Process(sweep.pid), {}
    while sweep.poll() is None:
        done = len(list(tmp_path.glob("*/summary.json")))
        try:
            after.setdefault(done, process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    sweep.communicate()
    print("MB after jobs:", {jobs: round(after[jobs]) for jobs in sorted(after) if jobs % 10 == 0})
    assert len(after) > JOBS // 2
    assert after[max(after)] < 1.05 * after[SETTLED]
