"""Builds the parts of a run from its config, in the order in which they need each other."""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.profilers import PassThroughProfiler
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from shared import loggers, ranks, resume
from shared.acceleration import describe, limit_memory, optimizer_arguments, prepare_model
from shared.backup import Backups
from shared.callbacks.checkpoints import Checkpoints
from shared.data.loader import make_loader
from shared.errors import SweepError, UserError
from shared.fsdp import FSDP
from shared.interruption import Interruption
from shared.policy.batching import Batching
from shared.policy.retention import Retention
from shared.policy.schedule_base import Schedule
from shared.preflight import Preflight, inspect
from shared.run_folder import RunFolder
from shared.training import Rails, Task

log = logging.getLogger(__name__)

NOTHING = nullcontext()


class Unprofiled(PassThroughProfiler):
    """No profiling for nothing: Lightning's own default enters some forty generators a step to measure nothing."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:
        return NOTHING


@dataclass
class Assembly:
    """Everything `Trainer.fit` needs, and what is said before it."""

    trainer: lightning.Trainer
    task: Task
    train_loader: DataLoader
    val_loader: DataLoader
    preflight: Preflight
    backups: Backups | None


def assemble(cfg: DictConfig, folder: RunFolder, interruption: Interruption) -> Assembly:
    """Data, network, schedule, callbacks, trainer; raises UserError naming the config group that does not work."""
    backups = open_backups(cfg, folder)
    start = find_start(cfg, folder, backups)
    lightning.seed_everything(cfg.seed, verbose=False)
    data = build(cfg.data, "data")
    data.prepare()
    model = prepare_model(build(cfg.model, "model")(**data.model_arguments()), cfg.hardware)
    if not folder.mute:
        resume.make_room(start, folder)
        ranks.tell(str(start.path or ""))
    if backups:
        backups.start()
    trainer = build_trainer(cfg, folder)
    refuse_ranks_in_a_sweep(trainer.world_size)
    refuse_with_fsdp(cfg, trainer)
    device = trainer.strategy.root_device
    limit_memory(device, cfg.hardware.memory_fraction)
    log.info("hardware     %s", describe(cfg.hardware, device, cfg.trainer.precision))
    batching = build_batching(cfg, trainer.world_size, getattr(data, "largest_batch", None))
    train_loader, val_loader = build_loaders(cfg, data, batching, trainer)
    schedule = build(cfg.schedule, "schedule")(
        peak=cfg.optimizer.lr,
        epochs=cfg.trainer.max_epochs,
        steps_per_epoch=batches(len(train_loader), cfg.trainer.limit_train_batches),
    )
    task: Task = build(cfg.task, "task", model=model, data=data)
    if start.path and start.afresh:
        resume.load_weights(task, start.path)
    task.rails = Rails(
        folder=folder,
        config=OmegaConf.to_container(cfg),
        overrides=list(HydraConfig.get().overrides.task),
        schedule=schedule,
        optimizer=build(cfg.optimizer, "optimizer", **optimizer_arguments(cfg.hardware)),
        batching=batching,
        probe_memory=cfg.micro_batch_size == "auto",
        interruption=interruption,
        sampler=train_loader.sampler,
        clip_norm=cfg.clip_norm,
        start=start,
        saved=[backups.submit] if backups else [],
        monitor=cfg.monitor.name,
        mode=cfg.monitor.mode,
    )
    samples = tuple(batching.devices * len(loader.sampler) for loader in (train_loader, val_loader))
    preflight = inspect(
        task,
        schedule,
        batching,
        samples,
        folder.path,
        backup=backups.describe() if backups else "none (backup.url=...)",
        moments=2 if "betas" in cfg.optimizer else int(bool(cfg.optimizer.get("momentum"))),
        probe=task.rails.probe_memory,
        files=files_kept(trainer, schedule, cfg.monitor.mode),
    )
    return Assembly(trainer, task, train_loader, val_loader, preflight, backups)


def refuse_ranks_in_a_sweep(world: int) -> None:
    """Other ranks are this command started again: they would each begin a sweep of their own."""
    if world > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        what = f"a sweep within one process cannot train on {world} devices"
        mend = "give each job a process of its own: -m hydra/launcher=joblib hydra.launcher.n_jobs=1 (or ray, slurm)"
        raise SweepError(what, "trainer.devices", mend)


def refuse_with_fsdp(cfg: DictConfig, trainer: lightning.Trainer) -> None:
    """What needs all weights, or a decision of one rank, where each has a share."""
    odd = {
        "micro_batch_size": cfg.micro_batch_size == "auto",
        "callbacks.ema": bool(cfg.callbacks.get("ema")),
    }
    for key in [key for key, given in odd.items() if given and isinstance(trainer.strategy, FSDP)]:
        raise UserError("this cannot be had with FSDP", key, "leave it out, or use strategy=ddp")


def find_start(cfg: DictConfig, folder: RunFolder, backups: Backups | None) -> resume.Start:
    """Where the run begins: the first rank looks, the others go by what it found."""
    if folder.mute:
        path = ranks.told()
        return resume.begin(cfg, folder, Path(path) if path else None)
    return resume.find(cfg, folder, backups.restore if backups else None)


def open_backups(cfg: DictConfig, folder: RunFolder) -> Backups | None:
    """The run's backups, if `backup.url` is set; the first rank sees to them."""
    if cfg.backup.url is None or folder.mute:
        return None
    return Backups(folder, cfg.project, **cfg.backup)


def files_kept(trainer: lightning.Trainer, schedule: Schedule, mode: str) -> int:
    """Checkpoints that may lie in the run folder at once, the one being written included."""
    for callback in trainer.callbacks:
        if isinstance(callback, Checkpoints):
            kept = Retention(mode, callback.milestones, callback.keep_cycles)
            return kept.files_at_most(schedule.cycle(schedule.total_steps - 1)) + 2
    return 0


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


def build_trainer(cfg: DictConfig, folder: RunFolder | None) -> lightning.Trainer:
    """Lightning's Trainer with our callbacks and loggers; without a run folder it writes nothing."""
    callbacks = [build(node, f"callbacks.{name}") for name, node in cfg.callbacks.items() if node]
    profiler = {} if cfg.trainer.get("profiler") else {"profiler": Unprofiled()}
    callbacks.sort(key=lambda callback: isinstance(callback, Checkpoint))
    try:
        return instantiate(
            cfg.trainer,
            callbacks=callbacks,
            **profiler,
            logger=loggers.build(cfg.logger, folder) if folder else False,
            enable_checkpointing=cfg.trainer.enable_checkpointing and folder is not None,
        )
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(
            str(cause).splitlines()[0], "trainer / hardware", "choose another hardware=..."
        ) from error


def build_batching(cfg: DictConfig, devices: int, most: int | None = None) -> Batching:
    """How the optimizer's batch, of at most `most` samples, is spread over devices and micro batches."""
    effective = cfg.effective_batch_size
    if most is not None and effective > most >= devices:
        effective = most - most % devices
        log.warning(
            "effective_batch_size: %d is more than the data allow in a batch, %d; trains with %d",
            cfg.effective_batch_size,
            most,
            effective,
        )
    micro = cfg.micro_batch_size if isinstance(cfg.micro_batch_size, int) else None
    try:
        return Batching(effective=effective, devices=devices, micro_limit=micro)
    except ValueError as error:
        raise UserError(
            str(error), "effective_batch_size", "see micro_batch_size and trainer.devices"
        ) from error


def build_loaders(
    cfg: DictConfig, data: Any, batching: Batching, trainer: lightning.Trainer
) -> tuple[DataLoader, DataLoader]:
    """Training loader (one batch = this device's optimizer batch) and validation loader."""
    common = {
        "seed": cfg.seed,
        "workers": workers(cfg.hardware.workers, trainer),
        "rank": trainer.global_rank,
        "world": trainer.world_size,
        "pin_memory": trainer.strategy.root_device.type == "cuda",
    }
    train = make_loader(
        data.train, batching.per_device, train=True, samples_per_epoch=cfg.samples_per_epoch, **common
    )
    return train, make_loader(data.val, batching.per_device, train=False, **common)


def workers(setting: int | str, trainer: lightning.Trainer) -> int:
    """Loader processes: `auto` leaves the cores to the network when it trains on the processor."""
    if setting != "auto":
        return int(setting)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cpu = trainer.strategy.root_device.type == "cpu"
    return cores // 4 if on_cpu else min(8, max(1, cores // trainer.num_devices - 1))


def batches(available: int, limit: int | float) -> int:
    """Batches of an epoch under `trainer.limit_train_batches`: a number, or a share of all."""
    if limit <= 0:
        mend = "give a number of batches or a share above 0"
        raise UserError("steps_per_epoch would be 0", "trainer.limit_train_batches", mend)
    return min(available, limit) if isinstance(limit, int) else max(1, int(available * limit))
