"""A saved poisoned step, run again: where it goes wrong, and what that says of the cause."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from shared.checkpoints.config import PRIVATE
from shared.config.trusted import trusted
from shared.errors import UserError
from shared.fit.build import build
from shared.lightning.culprit import first_bad_gradient, first_bad_layer
from shared.lightning.finite import non_finite
from shared.lightning.step import batch_size, cut
from shared.policy.batching import Batching
from shared.runs.diagnosis.finding import Finding


def replay(path: Path, checkpoint: Path | None = None) -> list[Finding]:
    """Run `nonfinite/step_N.pt` again, forward and backward, and say what was found then and now.

    The weights are the file's own or, where they were too large to be kept, those of `checkpoint`.
    """
    culprit = load(path, ("step", "batch", "config", "random"))
    weights = culprit.get("state")
    if weights is None:
        if checkpoint is None:
            raise UserError(
                "the weights were not kept", str(path), "add --checkpoint RUN/checkpoints/last.ckpt"
            )
        weights = load(checkpoint, ("state_dict",))["state_dict"]
    task = rebuild(culprit, weights, path)
    batch = culprit["batch"]
    inputs = non_finite({key: value for key, value in batch.items() if isinstance(value, Tensor)})
    broken = non_finite(weights)
    torch.set_rng_state(culprit["random"]["torch"])
    layer = first_bad_layer(task, batch, task.rails.batching.split(batch_size(batch)))
    torch.set_rng_state(culprit["random"]["torch"])
    loss = run_backward(task, batch)
    parameter = first_bad_gradient(task)
    evidence = [
        f"then: {', '.join(culprit.get('bad', []))}; layer {culprit.get('layer')}, gradient {culprit.get('parameter')}",
        f"now: layer {layer}, gradient {parameter}, loss {loss:.6g}",
        f"samples: {', '.join((culprit.get('files') or [str(i) for i in culprit.get('samples', [])])[:5])}",
    ]
    message, command = cause(inputs, broken, layer, parameter)
    severity = "error" if inputs or broken or layer or parameter else "warning"
    return [Finding("non_finite", severity, f"step {culprit['step']}: {message}", culprit.get("epoch"),
                    str(path), evidence, command)]  # fmt: skip


def load(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """A file of tensors and plain values with these keys. UserError for anything else."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever a broken file makes it stumble over
        raise UserError("the file cannot be read", str(path), "give RUN/nonfinite/step_N.pt") from error
    if not isinstance(found, dict) or not set(keys) <= set(found):
        raise UserError(f"no {', '.join(keys)} in the file", str(path), "give RUN/nonfinite/step_N.pt")
    return found


def rebuild(culprit: dict[str, Any], weights: dict[str, Tensor], path: Path) -> Any:
    """The task as it was, on the CPU; only this repository's own classes are ever built."""
    config = {key: node for key, node in culprit["config"].items() if key not in PRIVATE}
    cfg = trusted(config, str(path))
    data = build(cfg.data, "data")
    data.prepare()
    task = build(cfg.task, "task", model=build(cfg.model, "model")(**data.model_arguments()), data=data)
    task.load_state_dict(weights, strict=False)
    size = batch_size(culprit["batch"])
    micro = min(culprit.get("micro_batch_size") or size, size)
    task.rails = SimpleNamespace(batching=Batching(effective=size, devices=1, micro_limit=micro))
    return task.train()


def run_backward(task: Any, batch: dict[str, Any]) -> float:
    """Leave the gradients of the batch's mean loss in the parameters; returns the loss."""
    total, size = 0.0, batch_size(batch)
    for start, stop, _ in task.rails.batching.split(size):
        loss, _ = task.loss(cut(batch, start, stop))
        (loss * ((stop - start) / size)).backward()
        total += loss.item() * (stop - start) / size
    return total


def cause(inputs: list[str], broken: list[str], layer: str | None, parameter: str | None) -> tuple[str, str]:
    """The likeliest cause and the next thing to do, most certain first."""
    if inputs:
        return (
            f"the batch itself holds NaN or Inf in {', '.join(inputs)}",
            "mend or leave out the samples named",
        )
    if broken:
        return f"the weights were non-finite already: first {broken[0]}", "resume from an earlier checkpoint"
    if layer:
        return (
            f"the forward pass breaks first in {layer}",
            "look at that layer's range: lower LR, clip_norm=1.0, fp32",
        )
    if parameter:
        return f"only the backward pass breaks, first in {parameter}", "look for sqrt, log or 0/0 in the loss"
    return "it does not happen again here", "precision or hardware: replay on the same device and precision"
