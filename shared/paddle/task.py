"""What a Paddle project's task is: it defines the loss and the validation, this class the training step."""

import logging
from typing import Any

import paddle
from paddle import Tensor, nn

from shared.data.draws import keyed_generator
from shared.fit.meter import Meter
from shared.fit.rails import Rails
from shared.paddle.step import Batch, Gradients, Snapshot, gradients


class Task:
    """Base of the Paddle projects' tasks; the trainer sets `trainer` and `optimizer`, callbacks read the rest."""

    rails: Rails
    trainer: Any
    optimizer: paddle.optimizer.Optimizer

    def __init__(self, model: nn.Layer) -> None:
        self.model = model
        self.meter = Meter()
        self.results: dict[str, float] = {}
        self.lr = self.planned_lr = 0.0
        self.columns: dict[str, float] = {}
        self.guard: Any = None
        self.before = Snapshot(model)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the samples of a (micro) batch, and further means to log as `train/<name>`."""
        raise TypeError(f"{type(self).__name__} must define loss(batch)")

    def validation_step(self, batch: Batch) -> None:
        """Take in a validation batch."""

    def validation_results(self) -> dict[str, float]:
        """`val/<name>` over all batches since the last call."""
        return {}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimizer step on the whole optimizer batch of this device, or none if the guard refuses it.

        Random numbers are keyed by (seed, batch of the run, rank), so that a resumed run needs no random state.
        """
        trainer = self.trainer
        position = trainer.current_epoch * self.rails.schedule.steps_per_epoch + batch_idx
        draw = keyed_generator(trainer.seed, "paddle-step", position, trainer.global_rank)
        paddle.seed(int(draw.integers(2**31)))
        self.planned_lr = self.rails.schedule.lr(trainer.global_step) * self.lr_factor
        self.optimizer.set_lr(self.planned_lr)
        self.lr = self.optimizer.get_lr()
        found = gradients(self, batch)
        self.last_loss = found.loss
        if self.guard is None or self.guard.passes(self, batch, batch_idx, found):
            self.take(found)
        self.optimizer.clear_grad(set_to_zero=False)

    @paddle.no_grad()
    def take(self, found: Gradients) -> None:
        """Let the optimizer use the gradients, clipped to `clip_norm`."""
        limit = self.rails.clip_norm
        if limit is not None:
            factor = (limit / (found.norm + 1e-6)).clip(max=1.0)
            for parameter in trained(self.model):
                if parameter.grad is not None:
                    parameter.grad.multiply_(factor.astype(parameter.grad.dtype))
        self.trainer.scaler.step(self.optimizer)
        self.trainer.scaler.update()
        self.trainer.global_step += 1
        for samples, means in found.parts:
            self.meter.add(samples, {**means, "grad_norm": found.norm})

    @property
    def lr_factor(self) -> float:
        """What the guard's rollbacks have left of the planned LR."""
        return self.guard.lr_factor if self.guard else 1.0

    @property
    def current_epoch(self) -> int:
        return self.trainer.current_epoch

    def state_dict(self) -> dict[str, Tensor]:
        """The network's parameters and buffers, by name."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy arrays into the network, in the types that it computes in."""
        for name, tensor in self.state_dict().items():
            tensor.set_value(paddle.to_tensor(state[name]).astype(tensor.dtype))

    def over_ranks(self, means: dict[str, float]) -> dict[str, float]:
        """Means over the samples of all ranks, of which each has as many."""
        if self.trainer.world_size == 1 or not means:
            return means
        found = paddle.to_tensor([means[name] for name in sorted(means)], "float32")
        paddle.distributed.all_reduce(found)
        return dict(zip(sorted(means), (found / self.trainer.world_size).tolist(), strict=True))

    def report(self, kind: str, message: str, level: int = logging.WARNING) -> None:
        """Record an event of this step, once however many ranks there are."""
        if self.trainer.is_global_zero:
            at = {"epoch": self.current_epoch + 1, "step": self.trainer.global_step}
            self.rails.folder.events.add(kind, message, **at, level=level)


def trained(model: nn.Layer) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if not parameter.stop_gradient]


def parameter_groups(model: nn.Layer) -> list[dict[str, Any]]:
    """Two groups: weights, and norms and biases without weight decay (arXiv 1812.01187, section 3.1)."""
    weights = [p for p in trained(model) if p.ndim > 1]
    vectors = [p for p in trained(model) if p.ndim <= 1]
    groups = [{"params": weights}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
