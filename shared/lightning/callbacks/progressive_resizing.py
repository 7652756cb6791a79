"""Small training images first, larger ones at the end: most of the epochs cost less, the last ones see detail."""

import lightning

from shared.lightning.task import Task


class ProgressiveResizing(lightning.Callback):
    """Side in pixels grows from `start_size` to `end_size` between the shares `begin` and `end` of the epochs.

    Where `begin` is `end` it jumps. Rounded to whole multiples of `multiple`, which is the network's stride.
    """

    def __init__(self, start_size: int, end_size: int, begin: float, end: float, multiple: int = 32) -> None:
        if not 0 <= begin <= end <= 1:
            raise ValueError(f"0 <= begin <= end <= 1 must hold, not begin {begin} and end {end}")
        self.start_size, self.end_size, self.begin, self.end = start_size, end_size, begin, end
        self.multiple = multiple

    def size(self, epoch: int, epochs: int) -> int:
        """Side of the images of the 0-based `epoch`."""
        past, length = epoch / epochs - self.begin, self.end - self.begin
        share = min(1.0, max(0.0, past / length)) if length else float(past >= 0)
        pixels = self.start_size + share * (self.end_size - self.start_size)
        return round(pixels / self.multiple) * self.multiple

    def on_train_start(self, trainer: lightning.Trainer, task: Task) -> None:
        task.rails.sampler.image_size = self.size(trainer.current_epoch, trainer.max_epochs)

    def on_train_epoch_start(self, trainer: lightning.Trainer, task: Task) -> None:
        now = self.size(trainer.current_epoch, trainer.max_epochs)
        if now != task.rails.sampler.image_size:
            epoch, message = (
                trainer.current_epoch + 1,
                f"epoch {trainer.current_epoch + 1}: images of {now} px",
            )
            task.rails.folder.events.add("image_size", message, epoch=epoch, step=trainer.global_step)
        task.rails.sampler.image_size = now
