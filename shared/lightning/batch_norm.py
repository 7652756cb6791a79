"""Running statistics of BatchNorm over several ranks: what one process has that sees all their micro batches in turn.

DistributedDataParallel keeps those of rank 0, so that a validation would depend on the number of ranks.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from shared.lightning.task import Task


def merge_statistics(task: "Task", updates: int) -> None:
    """Replace each rank's running means and variances, which it has updated `updates` times in this step.

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
