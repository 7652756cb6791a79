"""Parts of a run that are built alike for either framework, and the errors that name the config group."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from shared.backups.worker import Backups
from shared.errors import SweepError, UserError
from shared.policy.batching import Batching, batch_for
from shared.processes.lost_rank import Watch
from shared.record.folder import RunFolder
from shared.record.preflight import Preflight

log = logging.getLogger(__name__)


@dataclass
class Assembly:
    """A run that stands ready: `fit()` trains; `preflight` is said before it."""

    trainer: Any
    task: Any
    preflight: Preflight
    backups: Backups | None
    fit: Callable[[], None]
    watch: Callable[[Callable[[str], None]], Watch | None]
    """Begins to watch over the other ranks; calls its argument when one dies and this process waits for it."""


def build(node: Any, key: str, **arguments: Any) -> Any:
    """`instantiate`, with errors that name the config group."""
    try:
        built = instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, ValueError | TypeError):
            raise UserError(str(error.__cause__), key, f"see conf/{key}/ and --help") from error
        raise
    return guarded(built, key) if callable(built) and OmegaConf.select(node, "_partial_") else built


def guarded(factory: Callable[..., Any], key: str) -> Callable[..., Any]:
    """The factory, with a ValueError about a setting turned into a UserError that names the config group."""

    def make(*arguments: Any, **settings: Any) -> Any:
        try:
            return factory(*arguments, **settings)
        except (ValueError, TypeError) as error:
            raise UserError(str(error), key, f"see conf/{key}/ and --help") from error

    return make


def build_batching(
    cfg: DictConfig, devices: int, most: int | None = None, samples: int | None = None
) -> Batching:
    """How the optimizer's batch, of at most `most` samples, is spread over devices and micro batches.

    A default batch fits itself to the `samples` that are trained on in an epoch, if they are given.
    """
    effective = cfg.effective_batch_size
    if most is not None and effective > most >= devices:
        effective = most - most % devices
        log.warning(
            "effective_batch_size: %d is more than the data allow in a batch, %d; trains with %d",
            cfg.effective_batch_size,
            most,
            effective,
        )
    elif samples and cfg.samples_per_epoch is None:  # else an epoch ends where the next begins
        effective = fit_batch(cfg, devices, samples)
    micro = cfg.micro_batch_size if isinstance(cfg.micro_batch_size, int) else None
    if micro and effective < cfg.effective_batch_size:
        micro = min(micro, effective // devices)
    try:
        return Batching(effective=effective, devices=devices, micro_limit=micro)
    except ValueError as error:
        raise UserError(
            str(error), "effective_batch_size", "see micro_batch_size and trainer.devices"
        ) from error


def fit_batch(cfg: DictConfig, devices: int, samples: int) -> int:
    """The batch for a small data set, said if it is not the given one, or if that one wastes many samples."""
    given = cfg.effective_batch_size
    fitted = batch_for(samples, given, devices)
    if fitted == given:
        return given
    lost = samples % given if samples >= given else samples
    text = f"effective_batch_size: {given} leaves out {lost} of {samples} samples each epoch"
    if any(word.startswith("effective_batch_size=") for word in HydraConfig.get().overrides.task):
        log.warning("%s; %d would leave out %d", text, fitted, samples % fitted)
        return given
    log.warning("%s; trains with %d", text, fitted)
    return fitted


def refuse_ranks_in_a_sweep(world: int) -> None:
    """Other ranks are this command started again: they would each begin a sweep of their own."""
    if world > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        what = f"a sweep within one process cannot train on {world} devices"
        mend = "give each job a process of its own: -m hydra/launcher=joblib hydra.launcher.n_jobs=1 (or ray, slurm)"
        raise SweepError(what, "trainer.devices", mend)


def open_backups(cfg: DictConfig, folder: RunFolder) -> Backups | None:
    """The run's backups, if `backup.url` is set; the first rank sees to them."""
    if cfg.backup.url is None or folder.mute:
        return None
    return Backups(folder, cfg.project, **cfg.backup)


def workers(setting: int | str, on_cpu: bool, devices: int) -> int:
    """Loader processes: `auto` leaves the cores to the network when it trains on the processor."""
    if setting != "auto":
        return int(setting)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores // 4 if on_cpu else min(8, max(1, cores // devices - 1))


def batches(available: int, limit: int | float) -> int:
    """Batches of an epoch under `trainer.limit_train_batches`: a number, or a share of all."""
    if limit <= 0:
        mend = "give a number of batches or a share above 0"
        raise UserError("steps_per_epoch would be 0", "trainer.limit_train_batches", mend)
    return min(available, limit) if isinstance(limit, int) else max(1, int(available * limit))
