"""The gradients of one optimizer batch: cut into micro batches, averaged over ranks, tried again when memory runs out.

Every rank keeps its gradients to itself until all of them have come through: one that ran out of memory while others
already exchange theirs would leave them waiting for ever.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from shared.fit.micro_batches import Attempt, in_micro_batches, probe, too_large
from shared.lightning.fsdp import FSDP, total_norm
from shared.policy.batching import MicroBatch

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


def gradients(task: Any, batch: Batch) -> Gradients:
    """Leave the gradient of the mean loss over all ranks' samples in the parameters, however finely it is cut.

    Raises UserError if not even single samples fit into memory, or if the loss forbids to cut finer.
    """
    task.before.take()
    attempt = Attempt(
        backward=partial(backward, task, batch),
        agree=task.trainer.strategy.reduce_boolean_decision,
        discard=partial(discard, task),
        restore=task.before.restore,
    )
    if task.rails.probe_memory:
        with room_for_moments(task):
            probe(replace(attempt, backward=partial(backward_or_single, task, batch)), task)
    parts = in_micro_batches(attempt, task, batch_size(batch), task.compares_samples)

    average(task)
    merge_statistics(task, len(parts))
    scaler = loss_scaler(task)
    norm = total_norm(trained_gradients(task), task.trainer)
    return Gradients(parts, norm / scaler.get_scale() if scaler else norm)


def backward(task: Any, batch: Batch, cuts: list[MicroBatch]) -> list[tuple[int, Means]] | None:
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


def backward_or_single(task: Any, batch: Batch, cuts: list[MicroBatch]) -> list[tuple[int, Means]] | None:
    """As `backward`; BatchNorm refuses a single sample, whatever the memory."""
    try:
        return backward(task, batch, cuts)
    except ValueError:
        if sum(stop - start for start, stop, _ in cuts) > 1:
            raise
        return []


def discard(task: Any) -> None:
    """Throw the gradients away, and give their memory back."""
    task.zero_grad()
    if task.device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def room_for_moments(task: Any) -> Iterator[None]:
    """Memory that Adam will need from its first step on is taken meanwhile."""
    fresh = not task.optimizers().state
    moments = [torch.empty_like(p) for p in task.parameters() for _ in range(2) if fresh and p.requires_grad]
    yield
    del moments


def average(task: Any) -> None:
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


def alone(task: Any) -> AbstractContextManager[None]:
    """Backward without the exchange that DistributedDataParallel would do in each micro batch."""
    wrapper = task.trainer.model
    return wrapper.no_sync() if isinstance(wrapper, DistributedDataParallel) else nullcontext()


def loss_scaler(task: Any) -> torch.amp.GradScaler | None:
    """What multiplies the loss, and so the gradients, with `trainer.precision=16-mixed`."""
    return getattr(task.trainer.precision_plugin, "scaler", None)


def trained_gradients(task: Any) -> list[Tensor]:
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


def merge_statistics(task: Any, updates: int) -> None:
    """Replace each rank's running means and variances, which it has updated `updates` times in this step.

    Afterwards they are what one process has that sees all micro batches in turn; DistributedDataParallel keeps those of
    rank 0, so that a validation would depend on the number of ranks.

    Each update is r <- (1 - m) r + m b, so rank i of n turns r into k r + s_i with k = (1 - m)^updates, and the ranks
    in turn make it k^n r + sum of k^(n - 1 - i) s_i. One message for all layers.
    """
    world, rank = task.trainer.world_size, task.trainer.global_rank
    norms = [module for module in task.model.modules() if collects(module)]
    if world == 1 or not norms:
        return
    saved = dict(zip(map(id, task.before.live), task.before.saved, strict=True))
    after = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)]
    before = [saved[id(buffer)] for buffer in after]
    kept = [(1 - norm.momentum) ** updates for norm in norms for _ in range(2)]
    own = torch._foreach_sub(after, torch._foreach_mul(before, kept))
    torch._foreach_mul_(own, [k ** (world - 1 - rank) for k in kept])
    flat = torch.cat([each.flatten() for each in own])
    total = task.trainer.strategy.reduce(flat, reduce_op="sum").split([each.numel() for each in own])
    torch._foreach_copy_(after, torch._foreach_mul(before, [k**world for k in kept]))
    torch._foreach_add_(after, list(total))
    for norm in norms:
        norm.num_batches_tracked += updates * (world - 1)


def collects(module: nn.Module) -> bool:
    """Whether a layer updates statistics of its own rank with a fixed momentum."""
    own = isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
    return own and module.training and module.running_mean is not None and module.momentum is not None
