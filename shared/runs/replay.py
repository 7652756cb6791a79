"""Sends a kept poisoned batch through the network again, to tell bad data from bad weights from bad luck."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

import shared.cli  # noqa: F401 (registers the resolvers that configs use)
from shared.assembly import build
from shared.checks import check_targets
from shared.culprit import first_bad_gradient, first_bad_layer
from shared.errors import UserError
from shared.finite import non_finite
from shared.policy.batching import Batching
from shared.resume import UNREADABLE, read
from shared.step import batch_size, cut
from shared.training import Task


@dataclass(frozen=True)
class Trial:
    """One more time through the network: what came out non-finite (nothing, if `bad` is empty), and where first."""

    weights: str
    bad: list[str]
    layer: str | None
    parameter: str | None


@dataclass(frozen=True)
class Replay:
    """What was found when it happened, and in each trial since."""

    step: int
    bad: list[str]
    files: list[str]
    trials: list[Trial]

    @property
    def reproduced(self) -> bool:
        return any(trial.bad for trial in self.trials)

    @property
    def verdict(self) -> str:
        """The cause that the trials leave, and where to look next."""
        own, other = self.trials[0], self.trials[-1]
        if in_data := [name for name in self.bad if name not in ("loss", "gradient")]:
            return f"the data: NaN or inf in {', '.join(in_data)}; look at the samples"
        if not self.reproduced:
            return "not reproduced: chance or hardware; train again from the last checkpoint, watch whether it returns"
        if own is other:
            return "reproduced: give a checkpoint too, to see whether the batch or the weights are at fault"
        if own.bad and not other.bad:
            return f"the weights: {other.weights} takes the batch well; lower the LR or set clip_norm"
        return "the batch with any weights: look at the samples, and at sqrt, log and division in the loss"

    def lines(self) -> list[str]:
        """The report as a person reads it."""
        found = [f"step {self.step}: {', '.join(self.bad)} non-finite; {self.verdict}"]
        found += [f"  sample {name}" for name in self.files[:10]]
        for trial in self.trials:
            where = trial.layer or (trial.parameter and f"the gradient of {trial.parameter}")
            end = f"{', '.join(trial.bad)} non-finite, first in {where}" if trial.bad else "all finite"
            found.append(f"  {trial.weights}: {end}")
        return found


def replay(culprit: Path, checkpoint: Path | None = None) -> Replay:
    """Replay `nonfinite/step_<N>.pt` with the weights kept in it, and with a checkpoint's; changes neither file.

    Raises UserError if a file cannot be read, or if there are no weights at all to replay with.
    """
    kept = load(culprit, "culprit")
    states = {"weights of that step": kept["state"]} if "state" in kept else {}
    if checkpoint is not None:
        states[f"weights of {checkpoint}"] = load(checkpoint, "checkpoint")["state_dict"]
    if not states:
        raise UserError(f"{culprit} was kept without weights", "checkpoint", "give a checkpoint of the run")
    cfg = OmegaConf.create(kept["config"])
    check_targets(cfg.data, cfg.model, cfg.task, where=str(culprit))
    task = build_task(cfg)
    trials = [attempt(task, cfg, kept, state, name) for name, state in states.items()]
    return Replay(kept["step"], kept["bad"], kept["files"], trials)


def load(path: Path, what: str) -> dict[str, Any]:
    try:
        return read(path)
    except (OSError, *UNREADABLE) as error:
        raise UserError(f"{path} cannot be read", what, "give another file") from error


def build_task(cfg: DictConfig) -> Task:
    data = build(cfg.data, "data")
    data.prepare()
    model = build(cfg.model, "model")(**data.model_arguments())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return build(cfg.task, "task", model=model, data=data).to(device).train()


def attempt(task: Task, cfg: DictConfig, kept: dict[str, Any], state: dict[str, Tensor], name: str) -> Trial:
    """Forward and backward as in the step: same cuts, same random numbers, same precision."""
    batch = {k: v.to(task.device) if isinstance(v, Tensor) else v for k, v in kept["batch"].items()}
    samples = batch_size(batch)
    cuts = Batching(samples, micro_limit=min(samples, kept["micro_batch_size"])).split(samples)
    prepare(task, kept, state)
    with precision(cfg, task):
        layer = first_bad_layer(task, batch, cuts)
    prepare(task, kept, state)
    losses = {}
    for start, stop, weight in cuts:
        with precision(cfg, task):
            losses[f"loss {start}"] = loss = task.loss(cut(batch, start, stop))[0]
        (loss * weight).backward()
    inputs = {key: value for key, value in batch.items() if isinstance(value, Tensor)}
    bad, parameter = non_finite(inputs), first_bad_gradient(task)
    bad += ["loss"] if non_finite(losses) else []
    return Trial(name, bad + (["gradient"] if parameter else []), layer, parameter)


def prepare(task: Task, kept: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Weights, buffers and generators as before the step."""
    task.load_state_dict(state)
    task.zero_grad()
    torch.set_rng_state(kept["random"]["torch"])
    if kept["random"]["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(kept["random"]["cuda"])


def precision(cfg: DictConfig, task: Task) -> AbstractContextManager[Any]:
    mixed = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}.get(str(cfg.trainer.precision))
    return torch.autocast(task.device.type, dtype=mixed, enabled=mixed is not None)
