"""Where a run stands goes into each checkpoint and comes back from it: it goes on from there, mid-epoch included.

No random state: every draw is keyed by the seed and the position (shared/paddle/task.py, shared/data/draws.py).
"""

from dataclasses import replace
from typing import Any

from shared.callbacks.extend import announce, note_jump, same_optimizer, translate
from shared.callbacks.position import check_samples, is_over, run_state, take_back
from shared.checkpoints.file import KEY, fit
from shared.paddle.state import set_optimizer_state
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer


class RunState:
    """Position, running means and the config."""

    def __init__(self) -> None:
        self.resumed = False

    def on_save_checkpoint(self, trainer: Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        position = {"epoch": trainer.epochs_over, "batch": trainer.batch, "step": trainer.global_step}
        checkpoint[KEY] = run_state(task, position)

    def on_load_checkpoint(self, trainer: Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        rails, state = task.rails, checkpoint[KEY]
        fit(task, checkpoint)
        if rails.start.mode == "extend":
            same_optimizer(rails.start)
            state = translate(state, rails.schedule.steps_per_epoch, rails.batching.effective)
            note_jump(task, state["step"])
        else:
            check_samples(state, rails.sampler.samples)
            limit = min(checkpoint["micro_batch_size"], rails.batching.per_device)
            rails.batching, rails.probe_memory = replace(rails.batching, micro_limit=limit), False
        set_optimizer_state(task.optimizer, task.model, checkpoint["optimizer"])
        trainer.current_epoch = trainer.epochs_over = state["epoch"]
        trainer.batch, trainer.global_step = state["batch"], state["step"]
        rails.sampler.resume_at(state["epoch"], state["batch"] * rails.batching.effective)
        take_back(task, state)
        self.resumed = True

    def on_fit_start(self, trainer: Trainer, task: Task) -> None:
        trainer.should_stop |= is_over(task, trainer.max_epochs)

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        if self.resumed:
            announce(task)
