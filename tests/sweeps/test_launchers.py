"""Jobs as commands of their own: how each end of a process becomes a result."""

import json
import math
import os
import signal

import pytest
import submitit
from omegaconf import OmegaConf

from hydra_plugins.trainyard.launchers import JoblibLauncher, SlurmLauncher
from shared.command.cli import train
from shared.sweeps import table
from shared.sweeps.job import Job, in_words
from shared.sweeps.table import read_jobs
from tests.conftest import TINY


@pytest.fixture
def job(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import os, sys\nexec(sys.argv[1])\n")

    def make(code: str, name: str = "job_0") -> Job:
        return Job(script, tmp_path / name, (code,))

    return make


def launched(*jobs, launcher=None):
    launcher = launcher or JoblibLauncher(n_jobs=2, gpus=[])
    endings = launcher.run([each.prepare() for each in jobs], jobs[0].folder.parent)
    return [each.settle(ending) for each, ending in zip(jobs, endings, strict=True)]


DONE = """import json; json.dump({{"status": "completed", "seconds": 1, "monitor": {{"best": {}}}}},"""
DONE += """ open(sys.argv[2].removeprefix("run_dir=") + "/summary.json", "w"))"""


def test_a_killed_job_says_so_and_the_others_end_well(job, tmp_path):
    good = [job(DONE.format(n), f"job_{n}") for n in (0, 2)]
    killed = job("os.kill(os.getpid(), 9)", "job_1")
    values = launched(good[0], killed, good[1])
    assert values[0] == 0 and values[2] == 2 and math.isnan(values[1])
    row = next(row for row in read_jobs(tmp_path) if row["job"] == "job_1")
    assert (row["status"], row["why"]) == ("failed", "killed by SIGKILL")
    assert row["settings"] == ["os.kill(os.getpid(), 9)"]


def test_a_job_that_dies_early_leaves_its_last_words(job, tmp_path):
    assert math.isnan(launched(job("raise ValueError('no such thing')"))[0])
    summary = json.loads((tmp_path / "job_0" / "summary.json").read_text())
    assert summary["error"] == "exit code 1: ValueError: no such thing"
    assert in_words("the node is gone", tmp_path) == "the job was lost: the node is gone"


def test_the_result_of_an_earlier_attempt_does_not_count_and_is_kept(job, tmp_path, capsys):
    assert launched(job(DONE.format(7))) == [7]
    table.exit_code()
    assert math.isnan(launched(job("sys.exit('error: not so')"))[0])
    assert [row["best"] for row in read_jobs(tmp_path)] == [7] and table.exit_code() == 1
    assert "error: job_0: exit code 1: error: not so; the result of an earlier" in capsys.readouterr().err
    assert launched(job(DONE.format(8))) == [8] and table.exit_code() == 0


def test_jobs_of_a_sweep_that_is_stopped_before_they_begin_keep_their_results(job, tmp_path):
    launched(job(DONE.format(7)))
    job("pass").prepare()
    assert [row["best"] for row in read_jobs(tmp_path)] == [7]


def test_each_job_has_a_gpu_of_its_own(job, tmp_path):
    code = "print('gpu', os.environ['CUDA_VISIBLE_DEVICES']); import time; time.sleep(0.3)"
    launched(*(job(code, f"job_{n}") for n in range(4)), launcher=JoblibLauncher(1, OmegaConf.create([4, 6])))
    said = [(tmp_path / f"job_{n}" / "console.log").read_text().split()[-1] for n in range(4)]
    assert sorted(said) == ["4", "4", "6", "6"]


SAVES = """import signal, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with open("{0}.part", "w") as file: file.write(f"{{os.getpid()}} {{os.getppid()}}")
os.rename("{0}.part", "{0}")
time.sleep(60)"""


def test_a_slurm_job_that_is_out_of_time_saves(job, tmp_path, monkeypatch):
    """Under submitit's handlers, by the signal that Slurm sends to it and to the training process alike."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)  # submitit's process does not find this checkout, as on a node
    executor, pids = submitit.AutoExecutor, tmp_path / "pids"
    monkeypatch.setattr(submitit, "AutoExecutor", lambda folder, cluster: executor(folder, cluster="local"))

    def queued(numbers):
        if pids.exists():
            for pid in pids.read_text().split():
                os.kill(int(pid), signal.SIGUSR2)
            pids.unlink()
        return not list(tmp_path.glob("slurm/*_result.pkl"))

    monkeypatch.setitem(SlurmLauncher.run.__globals__, "queued", queued)
    launcher = SlurmLauncher(poll_seconds=0.2, additional={}, timeout_min=2, slurm_signal_delay_s=30)
    assert launcher.run([job(SAVES.format(pids)).prepare()], tmp_path) == [143]


def test_a_grid_through_joblib(command, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = ["-m", "hydra/launcher=joblib", "model.depth=18,51", f"run_dir={tmp_path}"]
    outcome = command(train, "imagenet_resnet", *TINY, "trainer.max_epochs=1", *settings)
    assert outcome.code == 1, outcome.err
    good, bad = read_jobs(tmp_path)
    assert (good["status"], bad["status"]) == ("completed", "failed") and "model.depth" in bad["why"]
    assert "model.depth=18" in good["settings"] and good["best"] is not None


def test_a_sweep_with_other_settings_keeps_the_results_and_fails(command, tmp_path):
    settings = [*TINY, "trainer.max_epochs=1", f"run_dir={tmp_path}", "-m"]
    assert command(train, "imagenet_resnet", *settings, "seed=1").code == 0
    (before,) = read_jobs(tmp_path)
    outcome = command(train, "imagenet_resnet", *settings, "seed=2")
    assert outcome.code == 1 and "seed 1 -> 2" in outcome.err
    assert (
        read_jobs(tmp_path) == [before] and before["status"] == "completed" and "seed=1" in before["settings"]
    )


def test_ranks_in_a_sweep_of_one_process_are_refused(command, tmp_path):
    settings = [*TINY, "-m", "seed=1,2", "trainer.devices=2", f"run_dir={tmp_path}"]
    outcome = command(train, "imagenet_resnet", *settings)
    assert outcome.code == 2 and len(outcome.err.strip().splitlines()) == 1
    assert "hydra/launcher=joblib hydra.launcher.n_jobs=1" in outcome.err
    assert len(list(tmp_path.glob("job_*"))) == 1
