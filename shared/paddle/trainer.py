"""The fit loop of the Paddle projects. Its callbacks hear what Lightning's do, in the same order."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import paddle

from shared.checkpoints.file import read
from shared.errors import UserError
from shared.paddle.task import Task, parameter_groups

LEVELS = {  # trainer.precision -> AMP level and type
    "32-true": (None, "float32"),
    "bf16-mixed": ("O1", "bfloat16"),
    "16-mixed": ("O1", "float16"),
    "bf16-true": ("O2", "bfloat16"),
    "16-true": ("O2", "float16"),
}


class Trainer:
    """Trains a task for `max_epochs`, validating every `check_val_every_n_epoch` of them.

    `accelerator` is cpu, gpu or auto, `devices` what one process takes (1; more come from paddle.distributed.launch),
    `precision` is for GPUs: on a processor Paddle's AMP does nothing. `current_epoch` counts from 0, `epochs_over`
    those that are done, `batch` those of the epoch under way, `global_step` optimizer steps.
    """

    def __init__(
        self,
        max_epochs: int,
        min_epochs: int | None = 1,
        check_val_every_n_epoch: int = 1,
        log_every_n_steps: int = 20,
        limit_train_batches: int | float = 1.0,
        limit_val_batches: int | float = 1.0,
        accelerator: str = "auto",
        devices: int = 1,
        precision: str = "32-true",
        benchmark: bool | None = None,
        seed: int = 0,
        callbacks: Iterable[Any] = (),
        loggers: Iterable[Any] = (),
    ) -> None:
        self.max_epochs, self.min_epochs = max_epochs, min_epochs
        self.check_val_every_n_epoch = check_val_every_n_epoch
        self.log_every_n_steps, self.seed = log_every_n_steps, seed
        self.limits = {"train": limit_train_batches, "val": limit_val_batches}
        self.callbacks, self.loggers = list(callbacks), list(loggers)
        self.current_epoch = self.epochs_over = self.batch = self.global_step = 0
        self.num_training_batches, self.num_val_batches = 0, [0]
        self.should_stop = self.validating = False
        self.ckpt_path: Any = None
        self.callback_metrics: dict[str, float] = {}
        self.on_gpu = choose_device(accelerator, devices)
        if precision not in LEVELS:
            raise UserError(f"no precision {precision}", "trainer.precision", f"choose {', '.join(LEVELS)}")
        self.level, self.dtype = LEVELS[precision if self.on_gpu else "32-true"]
        self.scaler = paddle.amp.GradScaler(enable=self.dtype == "float16")
        if benchmark and self.on_gpu:
            paddle.set_flags({"FLAGS_cudnn_exhaustive_search": True})
        self.global_rank, self.world_size = paddle.distributed.get_rank(), paddle.distributed.get_world_size()
        if self.world_size > 1 and not paddle.distributed.is_initialized():
            paddle.distributed.init_parallel_env()

    @property
    def is_global_zero(self) -> bool:
        return self.global_rank == 0

    def fit(self, task: Task, train: Any, val: Any) -> None:
        """Train from `rails.start` on; returns when all epochs are over or a callback set `should_stop`."""
        self.ckpt_path = task.rails.start.checkpoint
        self.prepare(task, train, val)
        self.call("setup", task, "fit")
        if self.ckpt_path is not None:
            self.restore(task, read(self.ckpt_path))
        try:
            self.call("on_fit_start", task)
            if not self.should_stop:
                self.call("on_train_start", task)
            while self.current_epoch < self.max_epochs and not self.should_stop:
                self.epoch(task, train, val)
        finally:
            self.call("teardown", task, "fit")
            for logger in self.loggers:
                logger.finalize("finished")

    def prepare(self, task: Task, train: Any, val: Any) -> None:
        """The optimizer, and with O2 a network in half precision."""
        task.trainer = self
        task.optimizer = task.rails.optimizer(parameter_groups(task.model))
        if self.level == "O2":
            task.model, task.optimizer = paddle.amp.decorate(
                task.model, task.optimizer, level="O2", dtype=self.dtype
            )
        if self.world_size > 1:
            for tensor in task.state_dict().values():
                paddle.distributed.broadcast(tensor, 0)
        self.num_training_batches = task.rails.schedule.steps_per_epoch
        self.num_val_batches = [within(len(val), self.limits["val"])]

    def restore(self, task: Task, checkpoint: dict[str, Any]) -> None:
        """Give everything its state; the callbacks check it first."""
        self.call("on_load_checkpoint", task, checkpoint)
        task.load_state_dict(checkpoint["state_dict"])
        for callback in self.callbacks:
            state = checkpoint["callbacks"].get(type(callback).__name__)
            if state is not None and hasattr(callback, "load_state_dict"):
                callback.load_state_dict(state)
        if checkpoint["scaler"]:
            self.scaler.load_state_dict(checkpoint["scaler"])

    def epoch(self, task: Task, train: Any, val: Any) -> None:
        """One epoch from where it stands, its validation and its end."""
        train.sampler.set_epoch(self.current_epoch)
        self.call("on_train_epoch_start", task)
        task.model.train()
        if self.batch < self.num_training_batches:
            for batch in train:
                self.call("on_train_batch_start", task, batch, self.batch)
                task.training_step(batch, self.batch)
                self.batch += 1
                self.call("on_train_batch_end", task, None, batch, self.batch - 1)
                if self.batch == self.num_training_batches:
                    break
        if (
            self.world_size > 1
        ):  # the running statistics of the first rank count, in validation as in checkpoints
            for tensor in task.before.live:
                paddle.distributed.broadcast(tensor, 0)
        if (self.current_epoch + 1) % self.check_val_every_n_epoch == 0:
            self.validate(task, val)
        self.epochs_over, self.batch = self.current_epoch + 1, 0
        self.call("on_train_epoch_end", task)
        self.current_epoch = self.epochs_over

    def validate(self, task: Task, val: Any) -> dict[str, float]:
        """Metrics of the validation set; also in `callback_metrics`."""
        self.validating = True
        task.model.eval()
        self.call("on_validation_start", task)
        with paddle.no_grad(), self.precise():
            for index, batch in zip(range(within(len(val), self.limits["val"])), val, strict=False):
                task.validation_step(batch)
                self.call("on_validation_batch_end", task, None, batch, index)
        self.call("on_validation_epoch_end", task)
        self.callback_metrics = task.validation_results()
        self.call("on_validation_end", task)
        task.model.train()
        self.validating = False
        return self.callback_metrics

    def call(self, hook: str, task: Task, *arguments: Any) -> None:
        """Let every callback that has the hook hear it, those that write checkpoints last."""
        for callback in self.callbacks:
            if heard := getattr(callback, hook, None):
                heard(self, task, *arguments)

    def precise(self) -> AbstractContextManager[None]:
        """The context of a forward pass."""
        if self.level is None:
            return nullcontext()
        return paddle.amp.auto_cast(level=self.level, dtype=self.dtype)

    def most(self, numbers: list[int]) -> list[int]:
        """The largest of each number over all ranks."""
        if self.world_size == 1:
            return numbers
        largest = paddle.to_tensor(numbers)
        paddle.distributed.all_reduce(largest, paddle.distributed.ReduceOp.MAX)
        return largest.tolist()

    @property
    def strategy(self) -> "Trainer":
        """What callbacks ask to broadcast."""
        return self

    def broadcast(self, holds: bool) -> bool:
        """The first rank's answer, on all ranks."""
        return self.most([int(holds and self.is_global_zero)]) == [1]

    def all_agree(self, holds: bool) -> bool:
        return self.most([int(not holds)]) == [0]


def choose_device(accelerator: str, devices: int) -> bool:
    """Make the accelerator Paddle's device; whether it is a GPU."""
    if devices != 1:
        what = f"{devices} devices in one process"
        raise UserError(
            what, "trainer.devices", "python -m paddle.distributed.launch --gpus 0,1 projects/..."
        )
    has_gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if accelerator not in ("auto", "cpu", "gpu") or (accelerator == "gpu" and not has_gpu):
        raise UserError(
            f"no accelerator {accelerator} here", "trainer / hardware", "choose another hardware=..."
        )
    gpu = has_gpu and accelerator != "cpu"
    if not gpu:
        paddle.set_device("cpu")
    return gpu


def within(available: int, limit: int | float) -> int:
    """Batches under a limit: a number, or a share of all."""
    return min(available, limit) if isinstance(limit, int) else int(available * limit)
