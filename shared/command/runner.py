"""One run, from a composed config to a run folder that explains itself; `framework` names who builds and fits it."""

import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from shared.backups.worker import Backups
from shared.config.checks import check
from shared.config.root import ROOT
from shared.errors import StoppedNonFinite, UserError
from shared.files import write_atomically
from shared.fit.build import Assembly
from shared.processes.interruption import Interrupted, Interruption
from shared.processes.lock import locked
from shared.processes.lost_rank import MEND, explain
from shared.processes.ranks import rank
from shared.record import logs
from shared.record import outlets as logging_out
from shared.record.folder import RunFolder
from shared.record.summary import git_commit, restarts, versions
from shared.runs import ledger

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float:
    """Train as `cfg` says; returns the best value of the monitored metric.

    Writes the run folder and prints `run: <run_dir>` last, whatever the end; a command that is refused leaves the
    result of an earlier one as it is. Raises UserError for what a user can
    mend, SystemExit(128 + signal) after an interruption and SystemExit(1) when NaN or inf ended the training.
    """
    framework = import_module(f"{cfg.framework.package}.assembly")
    logs.adopt_frameworks()
    path = Path(HydraConfig.get().runtime.output_dir)
    if rank() > 0:
        return follow(cfg, RunFolder(path, mute=True), framework)
    with locked(path):
        return lead(cfg, RunFolder(path), framework)


def lead(cfg: DictConfig, folder: RunFolder, framework: ModuleType) -> float:
    """Train as the first rank, or the only one."""
    summary: dict[str, Any] = {"project": cfg.project, "status": "failed", "seed": cfg.seed}
    # Hydra's own file is of the last command; unresolved, since the environment may hold a password
    summary["overrides"] = OmegaConf.to_container(HydraConfig.get().overrides.task)
    began, assembly, ending = time.time(), None, threading.Lock()

    def end_without(lost: str) -> None:
        """The main thread waits for a dead rank: end the run in its place."""
        if ending.acquire(blocking=False):
            error = UserError(lost, "trainer.devices", MEND)
            log.error("%s", error, extra={"file_only": True})
            close(folder, summary | {"error": str(error)}, began)
            print(f"error: {error}", file=sys.stderr, flush=True)
            print(f"run: {folder.path}", flush=True)

    with Interruption() as interruption:
        try:
            check(cfg)
            ledger.run_started(folder.path, OmegaConf.to_container(cfg, resolve=True), git_commit(ROOT))
            assembly = framework.assemble(cfg, folder, interruption)
            write_atomically(folder.path / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
            fit(assembly, summary, end_without)
            if summary["status"] == "stopped_non_finite" and HydraConfig.get().mode == RunMode.RUN:
                raise SystemExit(1)  # but a sweep goes on: that a job diverges is a result
            best = summary["monitor"]["best"]  # what a sweeper optimises
            return math.nan if best is None else best
        except Interrupted as interrupted:
            summary |= {"status": "interrupted", "error": f"stopped by {interrupted}"}
            raise SystemExit(128 + interrupted.signum) from None
        except Exception as error:  # the command line shows it; train.log keeps it
            log.error("%s", error, exc_info=not isinstance(error, UserError), extra={"file_only": True})
            summary["error"] = " ".join(str(error).split()) or type(error).__name__
            raise
        finally:
            ending.acquire()
            interruption.defer()
            try:
                if assembly or not (folder.path / "summary.json").exists():
                    close(folder, summary, began)
                else:  # the command was refused before it touched the run, whose result stands
                    logging_out.finish()
                if assembly and assembly.backups:
                    finish_backup(assembly.backups, folder, summary, interruption)
            except OSError as error:
                mend = "make room, then run the same command again: it goes on from the last checkpoint"
                raise UserError(f"cannot write: {error.strerror}", str(folder.path), mend) from error
            finally:
                print(f"run: {folder.path}", flush=True)


def follow(cfg: DictConfig, folder: RunFolder, framework: ModuleType) -> float:
    """Train as another rank than the first, which alone writes files and says how it went."""
    logs.silence()
    with Interruption() as interruption:
        try:
            check(cfg)
            fit(framework.assemble(cfg, folder, interruption), summary := {}, lambda lost: None)
        except Interrupted as interrupted:
            raise SystemExit(128 + interrupted.signum) from None
    if summary["status"] == "stopped_non_finite":
        raise SystemExit(1)
    return math.nan


def fit(assembly: Assembly, summary: dict[str, Any], end_without: Callable[[str], None]) -> None:
    """Say the plan, train and fill the summary, also when it raises.

    Raises UserError if another rank dies; calls `end_without` with what is known if that leaves this thread waiting.
    """
    trainer, rails = assembly.trainer, assembly.task.rails
    summary["seconds"] = rails.start.seconds
    summary["backup"] = assembly.backups.report() if assembly.backups else None
    summary |= {"plan": assembly.preflight.as_dict(), "parameters": assembly.preflight.parameters}
    summary["resumed_from"] = str(rails.start.path) if rails.start.path else None
    if rails.start.is_over(rails.schedule.epochs):
        epoch = rails.start.state["epoch"]
        log.info("nothing left to train after epoch %d; set trainer.max_epochs and resume_mode=extend", epoch)
    else:
        for line in assembly.preflight.lines():
            log.info(line)
        rails.folder.remove_summary()
    watch = assembly.watch(end_without)
    try:
        assembly.fit()
        summary["status"] = "completed"
    except StoppedNonFinite:
        summary["status"] = "stopped_non_finite"
    except Exception as error:
        if watch and (lost := explain(error, watch)):
            raise lost from error
        raise
    finally:
        if watch:
            watch.over.set()
        summary |= {"epochs": trainer.current_epoch, "steps": trainer.global_step, **rails.summary}
        summary["restarts"] = restarts(rails.schedule, trainer.global_step, rails.start.state)


def close(folder: RunFolder, summary: dict[str, Any], began: float) -> None:
    """Write what a finished, failed or interrupted run leaves; `seconds` add up over its sessions, as epochs do."""
    summary["seconds"] = round(summary.get("seconds", 0.0) + time.time() - began, 1)
    summary |= {"events": folder.events.read(), "git_commit": git_commit(ROOT), "versions": versions()}
    folder.write_summary(summary)
    ledger.run_ended(folder.path, summary)
    logging_out.finish()
    draw(folder)
    log.info("%s: %s in %s", summary["project"], summary["status"], folder.path)


def finish_backup(
    backups: Backups, folder: RunFolder, summary: dict[str, Any], interruption: Interruption
) -> None:
    """Wait for the backup, with all else safely written; one more signal ends the wait."""
    signals = interruption.count
    backups.finish(lambda: interruption.count > signals)
    summary |= {"backup": backups.report(), "events": folder.events.read()}
    folder.write_summary(summary)


def draw(folder: RunFolder) -> None:
    """The picture of the run; a run is not lost for want of it."""
    if not folder.metrics.path.exists():
        return
    from shared.runs.pages.report import write_report

    try:
        log.info("picture: %s", write_report(folder.path))
    except Exception:
        log.warning("no picture of this run", exc_info=True)
