"""The gradients of one optimizer batch: cut into micro batches, averaged over ranks, tried again when memory runs out.

Every rank keeps its gradients to itself until all of them have come through: one that ran out of memory while others
already exchange theirs would leave them waiting for ever.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shared.errors import UserError
from shared.lightning.batch_norm import merge_statistics
from shared.lightning.fsdp import FSDP, total_norm
from shared.policy.batching import MicroBatch
from shared.record.preflight import batch_in_words

if TYPE_CHECKING:
    from shared.lightning.task import Task

Batch = dict[str, Any]
Means = dict[str, Tensor]

# Where torch raises a plain RuntimeError instead of OutOfMemoryError: the processor's allocator, cuDNN, cuBLAS.
OUT_OF_MEMORY = ("DefaultCPUAllocator", "ALLOC_FAILED", "out of memory")


@dataclass
class Gradients:
    """What a batch came to: `parts` of (samples, means) on this rank, the gradient's L2 `norm` over all of them."""

    parts: list[tuple[int, Means]]
    norm: Tensor

    @property
    def loss(self) -> Tensor:
        """Mean over the samples of this rank."""
        samples = sum(count for count, _ in self.parts)
        return torch.stack([means["loss"] * (count / samples) for count, means in self.parts]).sum()


class Snapshot:
    """Buffers and random states from before a step, to take the step back as if it had never been begun.

    One NaN passing through BatchNorm stays in its running statistics for ever. Buffers must be changed in place.
    """

    def __init__(self, module: nn.Module) -> None:
        self.live = list(module.buffers())
        self.saved = [buffer.clone() for buffer in self.live]
        self.cuda = next(module.parameters()).is_cuda

    def take(self) -> None:
        copy(self.live, self.saved)
        self.random = torch.get_rng_state()
        self.cuda_random = torch.cuda.get_rng_state() if self.cuda else None

    def restore(self) -> None:
        copy(self.saved, self.live)
        torch.set_rng_state(self.random)
        if self.cuda_random is not None:
            torch.cuda.set_rng_state(self.cuda_random)


def copy(source: list[Tensor], target: list[Tensor]) -> None:
    if source:
        with torch.no_grad():
            torch._foreach_copy_(target, source)


def gradients(task: "Task", batch: Batch) -> Gradients:
    """Leave the gradient of the mean loss over all ranks' samples in the parameters, however finely it is cut.

    Raises UserError if not even single samples fit into memory, or if the loss forbids to cut finer.
    """
    task.before.take()
    if task.rails.probe_memory:
        probe(task, batch)
    while True:
        parts = backward(task, batch, task.rails.batching.split(batch_size(batch)))
        if fitted(task, parts):
            break
        task.before.restore()
        make_room(task)
    average(task)
    merge_statistics(task, len(parts))
    scaler = loss_scaler(task)
    norm = total_norm(trained_gradients(task), task.trainer)
    return Gradients(parts, norm / scaler.get_scale() if scaler else norm)


def backward(task: "Task", batch: Batch, cuts: list[MicroBatch]) -> list[tuple[int, Means]] | None:
    """Forward and backward, one micro batch after the other; None if memory ran out."""
    parts = []
    try:
        for start, stop, weight in cuts:
            loss, means = task.loss(cut(batch, start, stop))
            with alone(task):
                task.manual_backward(loss if weight == 1 else loss * weight)
            parts.append((stop - start, {"loss": loss.detach(), **means}))
    except RuntimeError as error:
        if not any(sign in str(error) for sign in OUT_OF_MEMORY) and not isinstance(
            error, torch.OutOfMemoryError
        ):
            raise
        if isinstance(task.trainer.strategy, FSDP):
            raise too_large("out of memory, and with FSDP the other ranks wait for this one") from error
        return None
    return parts


def fitted(task: "Task", parts: list[Any] | None) -> bool:
    """Whether memory sufficed on every rank; if not, the gradients are thrown away and memory is set free."""
    if task.trainer.strategy.reduce_boolean_decision(parts is not None):
        return True
    task.zero_grad()
    if task.device.type == "cuda":
        torch.cuda.empty_cache()
    return False


def make_room(task: "Task") -> None:
    """Halve the micro batch for the rest of the run."""
    before = task.rails.batching
    if before.micro == 1:
        raise too_large()
    if task.compares_samples:
        what = f"out of memory with {before.micro} samples at once, which this loss compares with each other: halving "
        mend = "use a smaller effective_batch_size, shorter samples or another loss (voxceleb: loss=aam)"
        raise UserError(f"{what}the micro batch would change it", "micro_batch_size", mend)
    after = task.rails.batching = before.halve()
    message = f"out of memory with {before.micro} samples at once; the same batch again"
    task.report("out_of_memory", f"{message}, now {batch_in_words(after)}")


def probe(task: "Task", batch: Batch) -> None:
    """`micro_batch_size=auto`: choose the largest micro batch that fits, tried on samples of this batch."""
    fresh = not task.optimizers().state  # what Adam will need from its first step on must stay free
    moments = [torch.empty_like(p) for p in task.parameters() for _ in range(2) if fresh and p.requires_grad]

    def fits(samples: int) -> bool:
        try:
            enough = fitted(task, backward(task, batch, [MicroBatch(0, samples, 1.0)]))
        except ValueError:
            if samples > 1:
                raise
            return True  # BatchNorm refuses a single sample, whatever the memory
        task.zero_grad()
        task.before.restore()
        return enough

    if not fits(1):
        raise too_large()
    found = task.rails.batching = task.rails.batching.probe(fits)
    task.rails.probe_memory = False
    del moments
    task.report("micro_batch", f"micro_batch_size=auto: {batch_in_words(found)}", level=logging.INFO)


def too_large(what: str = "not even a single sample fits into memory") -> UserError:
    return UserError(what, "micro_batch_size", "use a smaller micro batch, model or smaller samples")


def average(task: "Task") -> None:
    """Average the gradients over the ranks, in one message; with FSDP the backward pass has done it."""
    if task.trainer.world_size == 1 or isinstance(task.trainer.strategy, FSDP):
        return
    grads = trained_gradients(task)
    flat = torch.cat([grad.flatten() for grad in grads])
    flat = task.trainer.strategy.reduce(flat, reduce_op="mean")
    means = flat.split([grad.numel() for grad in grads])
    copy([mean.view_as(grad) for mean, grad in zip(means, grads, strict=True)], grads)
    if isinstance(wrapper := task.trainer.model, DistributedDataParallel):
        wrapper.require_forward_param_sync = True  # no_sync turned it off: buffers still come from rank 0


def alone(task: "Task") -> AbstractContextManager[None]:
    """Backward without the exchange that DistributedDataParallel would do in each micro batch."""
    wrapper = task.trainer.model
    return wrapper.no_sync() if isinstance(wrapper, DistributedDataParallel) else nullcontext()


def loss_scaler(task: "Task") -> torch.amp.GradScaler | None:
    """What multiplies the loss, and so the gradients, with `trainer.precision=16-mixed`."""
    return getattr(task.trainer.precision_plugin, "scaler", None)


def trained_gradients(task: "Task") -> list[Tensor]:
    groups = task.optimizers().param_groups
    return [p.grad for group in groups for p in group["params"] if p.grad is not None]


def batch_size(batch: Batch) -> int:
    """Number of samples: the length of the batch's first tensor."""
    return next(len(value) for value in batch.values() if isinstance(value, Tensor))


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Samples `start` to `stop` of every tensor and list in the batch."""
    return {
        key: value[start:stop] if isinstance(value, Tensor | list) else value for key, value in batch.items()
    }
