"""The batch that made a step non-finite: which samples, which layer first, and a file from which to replay it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.files import replaced
from shared.lightning.finite import non_finite
from shared.lightning.fsdp import local
from shared.lightning.step import Batch, Gradients, batch_size, cut
from shared.policy.batching import MicroBatch

Culprit = dict[str, Any]


def describe(task: Any, batch: Batch, step: int, bad: list[str], found: Gradients) -> Culprit:
    """What is known right after the step, its gradients still there, its buffers and random states restored.

    `samples` and `files`: of those that hold NaN or inf, else of all. `layer`: where the forward pass fails first;
    `parameter`: the one nearest to the loss whose gradient is non-finite. `random`: torch's generators before the step.
    """
    samples = offending(batch)
    culprit = {
        "step": step,
        "epoch": task.current_epoch + 1,
        "bad": bad,
        "samples": samples,
        "files": file_names(task.trainer.train_dataloader.dataset, samples),
        "layer": first_bad_layer(task, batch, task.rails.batching.split(batch_size(batch))),
        "parameter": first_bad_gradient(task),
        "loss": [{name: float(mean) for name, mean in means.items()} for _, means in found.parts],
        "micro_batch_size": task.rails.batching.micro,
        "batch": {key: value.cpu() if isinstance(value, Tensor) else value for key, value in batch.items()},
        "random": {"torch": task.before.random, "cuda": task.before.cuda_random},
        "config": task.rails.config,
    }
    task.before.restore()  # the forward pass that looked for the layer went through the same buffers
    return culprit


def in_words(culprit: Culprit) -> Iterator[str]:
    """What a person wants to know first."""
    if culprit["layer"]:
        yield f"first in {culprit['layer']}"
    elif culprit["parameter"]:
        yield f"first in the gradient of {culprit['parameter']}"
    if names := culprit["files"] or [str(index) for index in culprit["samples"]]:
        yield f"samples {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def save(culprit: Culprit, state: dict[str, Tensor], path: Path, max_bytes: float) -> None:
    """Write the file in one step; the weights and buffers go with it if they take at most `max_bytes`."""
    path.parent.mkdir(exist_ok=True)
    if state and sum(tensor.nbytes for tensor in state.values()) <= max_bytes:
        culprit = {**culprit, "state": {name: tensor.cpu() for name, tensor in state.items()}}
    with replaced(path) as temporary:
        torch.save(culprit, temporary)


def offending(batch: Batch) -> list[int]:
    """Data-set indices of the samples with NaN or inf in them; of all samples if there are none."""
    if "index" not in batch:
        return []
    floats = [value for value in batch.values() if isinstance(value, Tensor) and value.is_floating_point()]
    poisoned = torch.zeros(batch_size(batch), dtype=torch.bool, device=batch["index"].device)
    for value in floats:
        poisoned |= ~value.isfinite().reshape(len(value), -1).all(1)
    return (batch["index"][poisoned] if poisoned.any() else batch["index"]).tolist()


def file_names(dataset: Any, samples: list[int]) -> list[str]:
    """For a data set that can tell: one with `path(index)`."""
    return [str(dataset.path(index)) for index in samples] if hasattr(dataset, "path") else []


def first_bad_layer(task: Any, batch: Batch, cuts: list[MicroBatch]) -> str | None:
    """Run the batch forward once more and name the first layer that puts out, or is given, NaN or inf."""
    found: list[str] = []

    def look(name: str, module: nn.Module, given: Any, out: Any) -> None:
        if not found and bad(out):
            found.append(f"the input of {name}" if bad(given) else name)

    leaves = [(name, module) for name, module in task.named_modules() if not any(module.children())]
    hooks = [
        module.register_forward_hook(lambda *seen, name=name: look(name, *seen)) for name, module in leaves
    ]
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            for start, stop, _ in cuts:
                task.loss(cut(batch, start, stop))
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def bad(value: Any) -> bool:
    """Whether a layer's tensor, or one of its tuple or list of them, is non-finite."""
    if isinstance(value, list | tuple):
        return any(bad(each) for each in value)
    return isinstance(value, Tensor) and bool(non_finite({"": value}))


def first_bad_gradient(task: Any) -> str | None:
    """Backward begins at the loss, so the last parameter comes first."""
    gradients = {name: local(p.grad) for name, p in task.named_parameters() if p.grad is not None}
    return next(reversed(non_finite(gradients)), None)
