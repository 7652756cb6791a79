"""The gradients of one optimizer batch: cut into micro batches, averaged over ranks, tried again when memory runs out.

Every rank keeps its gradients to itself until all of them have come through, as in shared/lightning/step.py.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from shared.fit.micro_batches import Attempt, in_micro_batches, probe
from shared.policy.batching import MicroBatch

Batch = dict[str, Any]
OUT_OF_MEMORY = ("ResourceExhausted", "Out of memory", "out of memory")


@dataclass
class Gradients:
    """What a batch came to: `parts` of (samples, means) on this rank, the gradient's L2 `norm` over all of them."""

    parts: list[tuple[int, dict[str, Tensor]]]
    norm: Tensor

    @property
    def loss(self) -> Tensor:
        """Mean over the samples of this rank."""
        samples = sum(count for count, _ in self.parts)
        return sum(means["loss"] * (count / samples) for count, means in self.parts)


class Snapshot:
    """Buffers from before a step; one NaN passing through batch norm stays in its running statistics for ever."""

    def __init__(self, model: nn.Layer) -> None:
        frozen = [parameter for parameter in model.parameters() if parameter.stop_gradient]
        self.live = [*frozen, *model.buffers()]
        self.saved: list[Tensor] = []

    def take(self) -> None:
        self.saved = [tensor.clone() for tensor in self.live]

    def restore(self) -> None:
        for tensor, saved in zip(self.live, self.saved, strict=True):
            tensor.set_value(saved)


def gradients(task: Any, batch: Batch) -> Gradients:
    """Leave the gradient of the mean loss over all ranks' samples in the parameters, however finely it is cut.

    Raises UserError if not even single samples fit into memory.
    """
    task.before.take()
    attempt = Attempt(
        backward=partial(backward, task, batch),
        agree=task.trainer.all_agree,
        discard=partial(discard, task),
        restore=task.before.restore,
    )
    if task.rails.probe_memory:
        probe(attempt, task)
    parts = in_micro_batches(attempt, task, batch_size(batch))

    grads = [p.grad for p in task.model.parameters() if not p.stop_gradient and p.grad is not None]
    if task.trainer.world_size > 1:
        average(grads, task.trainer.world_size)
    task.trainer.scaler.unscale_(task.optimizer)  # so that the guard and the clipping see them as they are
    with paddle.no_grad():
        norm = sum(grad.astype("float32").square().sum() for grad in grads).sqrt()
    return Gradients(parts, norm)


def backward(task: Any, batch: Batch, cuts: list[MicroBatch]) -> list[tuple[int, dict[str, Tensor]]] | None:
    """Forward and backward, one micro batch after the other; None if memory ran out."""
    parts = []
    try:
        for start, stop, weight in cuts:
            with task.trainer.precise():
                loss, means = task.loss(cut(batch, start, stop))
            task.trainer.scaler.scale(loss * weight).backward()
            parts.append((stop - start, {"loss": loss.detach(), **means}))
    except (RuntimeError, MemoryError, SystemError) as error:
        if not any(sign in str(error) for sign in OUT_OF_MEMORY) and not isinstance(error, MemoryError):
            raise
        return None
    return parts


def discard(task: Any) -> None:
    """Throw the gradients away, and give their memory back."""
    task.optimizer.clear_grad(set_to_zero=False)
    if task.trainer.on_gpu:
        paddle.device.cuda.empty_cache()


@paddle.no_grad()
def average(grads: list[Tensor], world: int) -> None:
    """Average the gradients over the ranks, in one message."""
    flat = paddle.concat([grad.flatten() for grad in grads])
    paddle.distributed.all_reduce(flat)
    parts = paddle.split(flat / world, [grad.size for grad in grads])
    for grad, part in zip(grads, parts, strict=True):
        paddle.assign(part.reshape(grad.shape), grad)


def batch_size(batch: Batch) -> int:
    """Number of samples: the length of the batch's first array."""
    return next(len(value) for value in batch.values() if isinstance(value, np.ndarray))


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Samples `start` to `stop` of every array and list in the batch."""
    return {k: v[start:stop] if isinstance(v, np.ndarray | list) else v for k, v in batch.items()}
