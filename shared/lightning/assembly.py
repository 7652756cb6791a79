"""Builds the parts of a run from its config, in the order in which they need each other."""

import logging
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.profilers import PassThroughProfiler
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from shared.backups.worker import Backups
from shared.callbacks.saving import Saving
from shared.checkpoints import resume
from shared.checkpoints.file import load_weights
from shared.errors import UserError
from shared.fit.build import (
    Assembly,
    batches,
    build,
    build_batching,
    open_backups,
    refuse_ranks_in_a_sweep,
    workers,
)
from shared.fit.rails import Rails
from shared.lightning.callbacks.adoption import adopt
from shared.lightning.fsdp import FSDP
from shared.lightning.hardware import describe, limit_memory, optimizer_arguments, prepare_model
from shared.lightning.launcher import watch_ranks
from shared.lightning.loader import make_loader
from shared.lightning.task import Task
from shared.policy.batching import Batching
from shared.processes import ranks
from shared.processes.interruption import Interruption
from shared.record import outlets as logging_out
from shared.record.folder import RunFolder
from shared.record.preflight import inspect

log = logging.getLogger(__name__)

NOTHING = nullcontext()


class Unprofiled(PassThroughProfiler):
    """No profiling for nothing: Lightning's own default enters some forty generators a step to measure nothing."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:
        return NOTHING


def assemble(cfg: DictConfig, folder: RunFolder, interruption: Interruption) -> Assembly:
    """Data, network, schedule, callbacks, trainer; raises UserError naming the config group that does not work."""
    backups = open_backups(cfg, folder)
    start = find_start(cfg, folder, backups)
    lightning.seed_everything(cfg.seed, verbose=False)
    data = build(cfg.data, "data")
    data.prepare()
    most = getattr(data, "largest_batch", None)  # looks at the training data before the run folder is touched
    model = prepare_model(build(cfg.model, "model")(**data.model_arguments()), cfg.hardware)
    if not folder.mute:
        resume.make_room(start, folder)
        ranks.tell(str(start.path or ""))
    if backups:
        backups.start(start.began)
    trainer = build_trainer(cfg, folder)
    refuse_ranks_in_a_sweep(trainer.world_size)
    refuse_with_fsdp(cfg, trainer)
    device = trainer.strategy.root_device
    limit_memory(device, cfg.hardware.memory_fraction)
    log.info("hardware     %s", describe(cfg.hardware, device, cfg.trainer.precision))
    batching = build_batching(cfg, trainer.world_size, most, len(data.train) if most is None else None)
    train_loader, val_loader = build_loaders(cfg, data, batching, trainer)
    schedule = build(cfg.schedule, "schedule")(
        peak=cfg.optimizer.lr,
        epochs=cfg.trainer.max_epochs,
        steps_per_epoch=batches(len(train_loader), cfg.trainer.limit_train_batches),
    )
    task: Task = build(cfg.task, "task", model=model, data=data)
    if start.path and start.afresh:
        load_weights(task, start.path)
    task.rails = Rails(
        folder=folder,
        config=OmegaConf.to_container(cfg),
        overrides=list(HydraConfig.get().overrides.task),
        schedule=schedule,
        optimizer=build(cfg.optimizer, "optimizer", **optimizer_arguments(cfg.hardware)),
        batching=batching,
        probe_memory=cfg.micro_batch_size == "auto" and not task.compares_samples,
        interruption=interruption,
        sampler=train_loader.sampler,
        clip_norm=cfg.clip_norm,
        start=start,
        saved=[backups.submit] if backups else [],
        monitor=cfg.monitor.name,
        mode=cfg.monitor.mode,
    )
    samples = tuple(batching.devices * len(loader.sampler) for loader in (train_loader, val_loader))
    saving = [callback for callback in trainer.callbacks if isinstance(callback, Saving)]
    preflight = inspect(
        [(p.numel(), p.requires_grad) for p in task.parameters()],
        schedule,
        batching,
        samples,
        folder.path,
        backup=backups.describe() if backups else "none (backup.url=...)",
        moments=2 if "betas" in cfg.optimizer else int(bool(cfg.optimizer.get("momentum"))),
        probe=task.rails.probe_memory,
        files=sum(each.files_at_most(schedule, cfg.monitor.mode) for each in saving),
        compares_samples=task.compares_samples,
        remarks=getattr(data, "remarks", []),
    )
    arguments = {"ckpt_path": start.checkpoint, "weights_only": True}
    fit = partial(trainer.fit, task, train_loader, val_loader, **arguments)
    return Assembly(trainer, task, preflight, backups, fit, partial(watch_ranks, trainer))


def refuse_with_fsdp(cfg: DictConfig, trainer: lightning.Trainer) -> None:
    """What needs all weights, or a decision of one rank, where each has a share."""
    odd = {
        "micro_batch_size": cfg.micro_batch_size == "auto",
        "callbacks.ema": bool(cfg.callbacks.get("ema")),
    }
    for key in [key for key, given in odd.items() if given and isinstance(trainer.strategy, FSDP)]:
        raise UserError("this does not work with FSDP", key, "leave it out, or use strategy=ddp")


def find_start(cfg: DictConfig, folder: RunFolder, backups: Backups | None) -> resume.Start:
    """Where the run begins: the first rank looks, the others go by what it found."""
    if folder.mute:
        path = ranks.told()
        return resume.begin(cfg, folder, Path(path) if path else None)
    return resume.find(cfg, folder, backups.restore if backups else None)


def build_trainer(cfg: DictConfig, folder: RunFolder | None) -> lightning.Trainer:
    """Lightning's Trainer with our callbacks and loggers; without a run folder it writes nothing."""
    callbacks = [adopt(build(node, f"callbacks.{name}")) for name, node in cfg.callbacks.items() if node]
    profiler = {} if cfg.trainer.get("profiler") else {"profiler": Unprofiled()}
    callbacks.sort(key=lambda callback: isinstance(callback, Checkpoint))
    try:
        return instantiate(
            cfg.trainer,
            callbacks=callbacks,
            **profiler,
            logger=logging_out.build(cfg.logger, folder) if folder else False,
            enable_checkpointing=cfg.trainer.enable_checkpointing and folder is not None,
        )
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(
            str(cause).splitlines()[0], "trainer / hardware", "choose another hardware=..."
        ) from error


def build_loaders(
    cfg: DictConfig, data: Any, batching: Batching, trainer: lightning.Trainer
) -> tuple[DataLoader, DataLoader]:
    """Training loader (one batch = this device's optimizer batch) and validation loader."""
    common = {
        "seed": cfg.seed,
        "workers": workers(
            cfg.hardware.workers, trainer.strategy.root_device.type == "cpu", trainer.num_devices
        ),
        "rank": trainer.global_rank,
        "world": trainer.world_size,
        "pin_memory": trainer.strategy.root_device.type == "cuda",
    }
    train = make_loader(
        data.train, batching.per_device, train=True, samples_per_epoch=cfg.samples_per_epoch, **common
    )
    return train, make_loader(data.val, batching.per_device, train=False, **common)
