"""A training run of a second: a tiny network on made-up samples, on the real rails."""

import json
from functools import partial
from pathlib import Path

import lightning
import torch
from torch import nn
from torch.utils.data import Dataset

from shared.callbacks.lr_monitor import LRMonitor
from shared.callbacks.metrics_log import MetricsLog
from shared.fit.rails import Rails
from shared.lightning.callbacks.adoption import adopt
from shared.lightning.callbacks.checkpoints import Checkpoints
from shared.lightning.callbacks.non_finite import NonFinite
from shared.lightning.callbacks.run_state import RunState
from shared.lightning.loader import make_loader
from shared.lightning.task import Task
from shared.policy.batching import Batching
from shared.policy.schedule import Cosine
from shared.processes.interruption import Interruption
from shared.record.folder import RunFolder

SAMPLES, BATCH = 48, 8
STEPS = SAMPLES // BATCH
GUARD = {"skip_limit": 3, "max_rollbacks": 2, "lr_factor": 0.5, "spike_window": 10, "spike_threshold": 8.0}
GUARD |= {"culprits": 5, "culprit_bytes": 1e6}


class Points(Dataset):
    """y = sum of x and noise; the samples in `spoiled` hold a NaN."""

    def __init__(self, spoiled=(), samples=SAMPLES):
        draw = torch.Generator().manual_seed(0)
        self.x = torch.randn(samples, 4, generator=draw)
        self.y = self.x.sum(1) + 0.1 * torch.randn(samples, generator=draw)
        self.x[list(spoiled), 1] = torch.nan
        self.seen = []

    def __len__(self):
        return len(self.x)

    def __getitem__(self, key):
        self.seen.append(key)
        return {"x": self.x[key.index], "y": self.y[key.index], "index": key.index}

    def path(self, index):
        return f"/data/point-{index}"


def network(norm=True, dropout=0.2):
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(16)] if norm else []
    return nn.Sequential(nn.Linear(4, 16), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1))


class Regression(Task):
    def loss(self, batch):
        loss = nn.functional.mse_loss(self.model(batch["x"])[:, 0], batch["y"])
        return loss, {"rmse": loss.detach().sqrt()}

    def setup(self, stage):
        self.rails.sampler.rank = self.trainer.global_rank  # ranks may be forked from one process

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch)[0])


def fit(folder, *, task=None, data=None, epochs=2, callbacks=(), batching=None, guard=GUARD, **settings):
    """Train and return the task; its trainer holds the rest. Other settings are `trainer`'s, the loader's or Rails'."""
    torch.manual_seed(1)
    data, task = data or Points(), task or Regression(network())
    batching, trainer = batching or Batching(BATCH), settings.pop("trainer", {})
    resume = settings.pop("resume", None)
    cut = {"seed": 3, "world": batching.devices, "samples_per_epoch": settings.pop("samples_per_epoch", None)}
    loader = make_loader(data, batching.per_device, train=True, **cut)
    task.rails = Rails(
        folder=RunFolder(folder),
        config={"resume_mode": "exact"},
        overrides=[],
        schedule=settings.pop("schedule", Cosine)(peak=0.05, epochs=epochs, steps_per_epoch=len(loader)),
        batching=batching,
        sampler=loader.sampler,
        interruption=Interruption(),
        monitor="val/loss",
        mode="min",
        **{"optimizer": partial(torch.optim.AdamW, lr=0.05), **settings},
    )
    standard = [MetricsLog(), RunState(), LRMonitor(), *([NonFinite(**guard)] if guard else [])]
    lightning.Trainer(
        callbacks=[adopt(each) for each in [*standard, *callbacks, Checkpoints(10, [], None)]],
        max_epochs=epochs,
        log_every_n_steps=1,
        accelerator="cpu",
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **trainer,
    ).fit(task, loader, make_loader(Points(), 16, train=False), ckpt_path=resume, weights_only=True)
    return task


def events(folder: Path) -> list[dict]:
    path = folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kinds(folder: Path) -> list[str]:
    return [event["kind"] for event in events(folder)]


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
