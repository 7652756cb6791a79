"""Builds a Paddle run from its config, in the order in which its parts need each other."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import paddle
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from shared.backups.worker import Backups
from shared.callbacks.saving import Saving
from shared.checkpoints import resume
from shared.checkpoints.file import load_weights
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
from shared.paddle.loader import Loader, make_loader
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer
from shared.policy.batching import Batching
from shared.processes.interruption import Interruption
from shared.processes.lost_rank import watch_parent
from shared.record import outlets as logging_out
from shared.record.folder import RunFolder
from shared.record.preflight import inspect

log = logging.getLogger(__name__)


def assemble(cfg: DictConfig, folder: RunFolder, interruption: Interruption) -> Assembly:
    """Data, network, schedule, callbacks, trainer; raises UserError naming the config group that does not work."""
    prepare_device(cfg)
    backups = open_backups(cfg, folder)
    start = find_start(cfg, folder, backups)
    paddle.seed(cfg.seed)
    data = build(cfg.data, "data")
    data.prepare()
    task: Task = build(cfg.task, "task", model=build_model(cfg, data), data=data)
    if backups:
        backups.start(start.began)
    trainer = build_trainer(cfg, folder)
    refuse_ranks_in_a_sweep(trainer.world_size)
    batching = build_batching(cfg, trainer.world_size, getattr(data, "largest_batch", None), len(data.train))
    train_loader, val_loader = build_loaders(cfg, data, batching, trainer)
    schedule = build(cfg.schedule, "schedule")(
        peak=cfg.optimizer.lr,
        epochs=cfg.trainer.max_epochs,
        steps_per_epoch=batches(len(train_loader), cfg.trainer.limit_train_batches),
    )
    if start.path and start.afresh:
        load_weights(task, start.path)
    task.rails = Rails(
        folder=folder,
        config=OmegaConf.to_container(cfg),
        overrides=list(HydraConfig.get().overrides.task),
        schedule=schedule,
        optimizer=build(cfg.optimizer, "optimizer"),
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
    saving = [callback for callback in trainer.callbacks if isinstance(callback, Saving)]
    preflight = inspect(
        [(p.size, True) for p in task.model.parameters() if not p.stop_gradient],
        schedule,
        batching,
        (batching.devices * len(train_loader.sampler), len(val_loader.sampler)),
        folder.path,
        backup=backups.describe() if backups else "none (backup.url=...)",
        moments=2 if "betas" in cfg.optimizer else int(bool(cfg.optimizer.get("momentum"))),
        probe=task.rails.probe_memory,
        files=sum(each.files_at_most(schedule, cfg.monitor.mode) for each in saving),
        remarks=getattr(data, "remarks", []),
    )
    fit = partial(trainer.fit, task, train_loader, val_loader)
    return Assembly(
        trainer, task, preflight, backups, fit, lambda _: watch_parent() if trainer.world_size > 1 else None
    )


def find_start(cfg: DictConfig, folder: RunFolder, backups: Backups | None) -> resume.Start:
    """Where the run begins, its folder in order: the first rank looks, the others go by what it found."""
    alone = paddle.distributed.get_world_size() == 1
    if not alone and not paddle.distributed.is_initialized():
        paddle.distributed.init_parallel_env()
    found: list[Any] = [None]
    if not folder.mute:
        start = resume.find(cfg, folder, backups.restore if backups else None)
        resume.make_room(start, folder)
        found = [str(start.path) if start.path else None]
    if not alone:
        paddle.distributed.broadcast_object_list(found, 0)
    if not folder.mute:
        return start
    return resume.begin(cfg, folder, Path(found[0]) if found[0] else None)


def prepare_device(cfg: DictConfig) -> None:
    """The share of the GPU's memory that `hardware` allows; before the first tensor."""
    if not paddle.is_compiled_with_cuda() or cfg.trainer.accelerator == "cpu":
        if cfg.trainer.precision != "32-true":
            log.warning("trainer.precision=%s: Paddle computes in fp32 on a processor", cfg.trainer.precision)
        return
    total = paddle.device.cuda.get_device_properties().total_memory
    limit = int(total * cfg.hardware.memory_fraction / 2**20)
    paddle.set_flags({"FLAGS_gpu_memory_limit_mb": limit})


def build_model(cfg: DictConfig, data: Any) -> paddle.nn.Layer:
    """The network for the data's characters."""
    return build(cfg.model, "model")(**data.model_arguments())


def build_trainer(cfg: DictConfig, folder: RunFolder | None) -> Trainer:
    """The trainer with our callbacks and loggers; without a run folder it writes nothing."""
    callbacks = [build(node, f"callbacks.{name}") for name, node in cfg.callbacks.items() if node]
    callbacks.sort(key=lambda callback: isinstance(callback, Saving))
    found = logging_out.build(cfg.logger, folder) if folder and not folder.mute else []
    return build(cfg.trainer, "trainer", seed=cfg.seed, callbacks=callbacks, loggers=found)


def build_loaders(cfg: DictConfig, data: Any, batching: Batching, trainer: Trainer) -> tuple[Loader, Loader]:
    """Training loader (one batch = this device's optimizer batch) and validation loader.

    Every rank validates all: they come to the same metrics, and so to the same decisions.
    """
    common = {
        "seed": cfg.seed,
        "workers": workers(cfg.hardware.workers, not trainer.on_gpu, trainer.world_size),
    }
    share = {"rank": trainer.global_rank, "world": trainer.world_size}
    train = make_loader(
        data.train,
        batching.per_device,
        train=True,
        samples_per_epoch=cfg.samples_per_epoch,
        **common,
        **share,
    )
    return train, make_loader(data.val, batching.per_device, train=False, **common)
