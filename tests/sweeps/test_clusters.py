"""Sweeps on a real Slurm and a real Ray cluster, both on this machine; in each, one of four jobs is killed.

Needs slurm-wlm and munge (apt), and ray. What the commands said is appended to the file that $CLUSTER_LOG names.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shared.sweeps.table import read_jobs
from tests.conftest import ROOT, TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLED, PORT = "job_1", "6380"


def say(*words: str) -> str:
    """Run a command that must succeed, keep what it said in the log, and return its stdout."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    note(f"$ {' '.join(words)}\n{done.stdout}")
    return done.stdout


def note(text: str) -> None:
    if path := os.environ.get("CLUSTER_LOG"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n\n")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    if not shutil.which("sbatch"):
        pytest.skip("no Slurm here: apt-get install slurm-wlm munge")
    script = str(ROOT / "scripts" / "local_slurm.sh")
    monkeypatch.setenv("LOCAL_SLURM", str(tmp_path / "slurm"))
    monkeypatch.setenv("SLURM_CONF", say(script, "start").strip().removeprefix("export SLURM_CONF="))
    yield
    note((tmp_path / "slurm" / "slurmctld.log").read_text().split("slurmctld version")[-1])
    say(script, "stop")


@pytest.fixture
def ray(tmp_path):
    ray = str(Path(sys.executable).with_name("ray"))
    head = [ray, "start", "--head", f"--port={PORT}", "--num-cpus=1", "--block", "--include-dashboard=false"]
    more = [ray, "start", f"--address=127.0.0.1:{PORT}", "--num-cpus=1", "--block"]
    nodes = []
    for number, command in enumerate((head, more), 1):
        with (tmp_path / "ray.log").open("a") as log:
            nodes.append(subprocess.Popen(command, stdout=log, stderr=log))
        while (status := ray_status(ray)).count("node_") < number:
            assert nodes[-1].poll() is None, (tmp_path / "ray.log").read_text()
            time.sleep(1)
        note(f"$ {' '.join(command)}")
    note(f"$ ray status\n{status}")
    yield
    for node in reversed(nodes):
        node.terminate()
        node.wait()


def ray_status(ray: str) -> str:
    asked = [ray, "status", f"--address=127.0.0.1:{PORT}"]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def sweep(folder: Path, kill, *launcher: str) -> dict[str, str]:
    """Run four jobs, `kill` one once it has trained an epoch; returns what the table says of it.

    Then the same command runs again, and goes on with that job.
    """
    script = str(ROOT / "projects" / "imagenet_resnet" / "train.py")
    settings = [*TINY, *launcher, "-m", "optimizer.lr=1e-3,1e-2", "seed=1,2", f"run_dir={folder}"]
    command = [sys.executable, script, *settings, "trainer.max_epochs=8"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (folder / KILLED / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.05)
    kill(folder / KILLED)
    said, _ = process.communicate()
    note(f"$ {' '.join(command)}\n{said}exit code {process.returncode}")
    assert process.returncode == 1, said
    rows = {row["job"]: row for row in read_jobs(folder)}
    assert "sweep: best val/top1" in said and (folder / "sweep.csv").exists()
    assert [rows[f"job_{n}"]["status"] for n in (0, 2, 3)] == ["completed"] * 3
    again = subprocess.run(command, capture_output=True, text=True)
    note(f"$ the same command again\n{again.stdout}exit code {again.returncode}")
    assert again.returncode == 0, again.stdout
    assert {row["status"] for row in read_jobs(folder)} == {"completed"}
    assert json.loads((folder / KILLED / "summary.json").read_text())["resumed_from"]
    return rows[KILLED]


def trainer(job: Path) -> psutil.Process:
    """The process that trains in this folder."""
    found = psutil.process_iter(["cmdline"])
    return next(each for each in found if f"run_dir={job}" in (each.info["cmdline"] or []))


def kill_trainer(job: Path) -> None:
    process = trainer(job)
    process.kill()
    note(f"$ kill -9 {process.pid}   # the training process of {job.name}")


def kill_worker(job: Path) -> None:
    process = trainer(job)
    worker = process.parent()
    note(
        f"$ kill -9 {worker.pid} {process.pid}   # the training process of {job.name} and what had started it"
    )
    worker.kill()
    process.kill()


def cancel(job: Path) -> None:
    numbers = say("squeue", "--noheader", "--format=%i", "--array").split()
    say("scancel", "--full", next(number for number in numbers if number.endswith("_1")))


@pytest.mark.parametrize(
    ("kill", "status", "why"),
    [(cancel, "interrupted", "stopped by SIGTERM"), (kill_worker, "failed", "ended without a result")],
)
def test_slurm(tmp_path, slurm, kill, status, why):
    settings = ["cpus_per_task=1", "poll_seconds=1", "timeout_min=30"]
    settings = ["hydra/launcher=slurm", *(f"hydra.launcher.{each}" for each in settings)]
    row = sweep(tmp_path / "sweep", kill, *settings)
    assert row["status"] == status and why in row["why"]


@pytest.mark.parametrize(
    ("kill", "why"), [(kill_trainer, "killed by SIGKILL"), (kill_worker, "the job was lost")]
)
def test_ray(tmp_path, ray, kill, why):
    row = sweep(tmp_path / "sweep", kill, "hydra/launcher=ray", f"hydra.launcher.address=127.0.0.1:{PORT}")
    assert row["status"] == "failed" and why in row["why"]
