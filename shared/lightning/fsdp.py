"""Fully sharded data parallel (FSDP2): each rank keeps a share of weights, gradients and moments.

As a Lightning strategy under our own step. Checkpoints hold whole tensors, so that any number of ranks, another
strategy and evaluate.py can read them. What a single rank must decide alone while the others wait for its share
does not work: going on after running out of memory, rolling back, averaged weights.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


class FSDP(DDPStrategy):
    """`trainer.strategy` of `strategy=fsdp`; every parent of layers with a forward pass of its own is a unit."""

    def configure_ddp(self) -> None:
        """Shard the network where DDP would wrap it; all ranks have built the same weights."""
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for root in callable_parts(self.lightning_module.model):
            for child in root.children():
                for unit in callable_parts(child):
                    fully_shard(unit, mesh=mesh)
            fully_shard(root, mesh=mesh)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return whole(super().lightning_module_state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        return whole(super().optimizer_state(optimizer))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {n: share(parameters[n], moments) for n, moments in saved["state"].items()}
            optimizer.load_state_dict({**saved, "state": state})


def callable_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The module, or those within it where it only holds them (ModuleList, ModuleDict)."""
    if not isinstance(module, nn.ModuleList | nn.ModuleDict):
        yield module
        return
    for child in module.children():
        yield from callable_parts(child)


def whole(value: Any) -> Any:
    """Nested dictionaries and lists with every shard replaced by the whole tensor; all ranks must call it."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value.full_tensor() if isinstance(value, DTensor) else value


def share(parameter: Tensor, moments: dict[str, Any]) -> dict[str, Any]:
    """This rank's share of what an optimizer remembers of a parameter."""
    if not isinstance(parameter, DTensor):
        return moments
    return {
        name: distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
        if isinstance(value, Tensor) and value.shape == parameter.shape
        else value
        for name, value in moments.items()
    }


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that lies on this rank, sharing its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def total_norm(gradients: list[Tensor], trainer: Any) -> Tensor:
    """L2 norm over all gradients, those of other ranks' shards included."""
    norm = torch.nn.utils.get_total_norm([local(each) for each in gradients])
    if not isinstance(trainer.strategy, FSDP):
        return norm
    return trainer.strategy.reduce(norm.square(), reduce_op="sum").sqrt()
