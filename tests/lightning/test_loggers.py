"""Loggers beside metrics.csv: what they write, and that none of them can stop a run."""

import sys
import threading
import time

import pytest

from shared.lightning import loggers
from shared.record import outlets as logging_out
from shared.record.folder import RunFolder
from tests.conftest import TINY

SLOW_START = ["trainer.max_epochs=1", "trainer.limit_val_batches=1"]


def test_wandb_works_offline_under_an_id_of_ours(tiny):
    pytest.importorskip("wandb")
    outcome = tiny("logger=wandb", *SLOW_START)
    assert outcome.code == 0, outcome.err
    identity = (outcome.run_dir / "run_id").read_text().strip()
    assert list((outcome.run_dir / "wandb").glob(f"offline-run-*-{identity}/run-{identity}.wandb"))


def test_a_run_resumed_continues_the_same_wandb_run(tiny):
    pytest.importorskip("wandb")
    first = tiny("logger=wandb", *SLOW_START, "schedule=constant")
    again = tiny("logger=wandb", "schedule=constant", "trainer.max_epochs=2", "resume_mode=extend")
    assert again.code == 0, again.err
    assert first.run_dir == again.run_dir
    folders = [path.name for path in (again.run_dir / "wandb").glob("offline-run-*")]
    assert len({name.rsplit("-", 1)[1] for name in folders}) == 1 <= len(folders)


def test_wandb_that_refuses_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    assert loggers.wandb(RunFolder(tmp_path), "trainyard", None, offline=True) is None
    assert "W&B: not logging" in caplog.text


def test_online_without_a_key_falls_back_to_offline(tmp_path, monkeypatch, caplog):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    logger = loggers.wandb(RunFolder(tmp_path / "run"), "trainyard", None, offline=False)
    assert logger.experiment.settings.mode in ("offline", "dryrun")
    assert "WANDB_API_KEY" in caplog.text
    logging_out.finish()


def test_finish_waits_a_bounded_time(monkeypatch, caplog):
    release = threading.Event()

    class Client:
        run = object()

        @staticmethod
        def finish() -> None:
            release.wait(30)

    monkeypatch.setitem(sys.modules, "wandb", Client)
    began = time.monotonic()
    logging_out.finish(patience=0.2)
    release.set()
    assert time.monotonic() - began < 10
    assert "still sending" in caplog.text


def test_tensorboard_and_wandb_together(tiny):
    pytest.importorskip("wandb")
    outcome = tiny("logger=[tensorboard,wandb]", *SLOW_START)
    assert list((outcome.run_dir / "tensorboard").glob("events.*"))
    assert list((outcome.run_dir / "wandb").glob("offline-run-*"))
    assert "logger=csv" in TINY
