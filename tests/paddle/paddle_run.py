"""A Paddle run of a second: a tiny network on made-up samples, on the real rails."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from shared.callbacks.lr_monitor import LRMonitor
from shared.callbacks.metrics_log import MetricsLog
from shared.checkpoints.file import read
from shared.checkpoints.resume import Start
from shared.fit.rails import Rails
from shared.paddle.callbacks.checkpoints import Checkpoints
from shared.paddle.callbacks.non_finite import NonFinite
from shared.paddle.callbacks.run_state import RunState
from shared.paddle.loader import make_loader
from shared.paddle.optimizers import AdamW
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer
from shared.policy.batching import Batching
from shared.policy.schedule import Cosine
from shared.processes.interruption import Interruption
from shared.record.folder import RunFolder

SAMPLES, BATCH = 48, 8
STEPS = SAMPLES // BATCH
GUARD = {"skip_limit": 3, "max_rollbacks": 2, "lr_factor": 0.5, "spike_window": 10, "spike_threshold": 8.0}
GUARD |= {"culprits": 5, "culprit_bytes": 1e6}
OPTIMIZER = partial(AdamW, lr=0.05, betas=(0.9, 0.999), weight_decay=0.01)


class Points:
    """y = sum of x and noise; the samples in `spoiled` hold a NaN."""

    def __init__(self, spoiled=()):
        draw = np.random.default_rng(0)
        self.x = draw.standard_normal((SAMPLES, 4)).astype(np.float32)
        self.y = self.x.sum(1) + 0.1 * draw.standard_normal(SAMPLES).astype(np.float32)
        self.x[list(spoiled), 1] = np.nan

    def __len__(self):
        return len(self.x)

    def __getitem__(self, key):
        return {"x": self.x[key.index], "y": self.y[key.index], "index": key.index}

    def collate(self, samples):
        return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def network(norm=True, dropout=0.2):
    paddle.seed(0)
    middle = [nn.BatchNorm1D(16)] if norm else []
    return nn.Sequential(nn.Linear(4, 16), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1))


class Regression(Task):
    """`scripted` values stand in for the validation loss, one an epoch."""

    scripted = ()

    def loss(self, batch):
        out = self.model(paddle.to_tensor(batch["x"]))[:, 0]
        loss = nn.functional.mse_loss(out, paddle.to_tensor(batch["y"]))
        return loss, {"rmse": loss.detach().sqrt()}

    def validation_step(self, batch):
        self.sums = [*getattr(self, "sums", []), float(self.loss(batch)[0])]

    def validation_results(self):
        mean, self.sums = float(np.mean(self.sums)), []
        return {"val/loss": self.scripted[self.trainer.current_epoch] if self.scripted else mean}


def fit(folder, *, task=None, data=None, epochs=2, callbacks=(), batching=None, resume=None, **settings):
    """Train and return the task; its trainer holds the rest. Other settings are Rails'."""
    data, task = data or Points(), task or Regression(network())
    batching = batching or Batching(BATCH)
    loader = make_loader(data, batching.per_device, train=True, seed=3, workers=settings.pop("workers", 0))
    start = Start("exact", resume, read(resume)["trainyard"]) if resume else Start()
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
        start=start,
        **{"optimizer": OPTIMIZER, **settings},
    )
    standard = [MetricsLog(), RunState(), LRMonitor(), NonFinite(**GUARD)]
    trainer = Trainer(
        max_epochs=epochs,
        log_every_n_steps=1,
        accelerator="cpu",
        seed=3,
        callbacks=[*standard, *callbacks, Checkpoints(10, [], None)],
    )
    trainer.fit(task, loader, make_loader(data, BATCH, train=False))
    return task


def events(folder: Path) -> list[dict]:
    path = Path(folder) / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
