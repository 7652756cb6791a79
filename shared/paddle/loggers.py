"""TensorBoard and Weights & Biases for Paddle runs, in the run folder, with what Lightning's loggers offer ours."""

import io
from typing import Any

import numpy as np
from PIL import Image

from shared.record.folder import RunFolder
from shared.record.outlets import WANDB_SETTINGS, has_login, report_not_logging


class TensorBoard:
    """Scalars and pictures as TensorBoard's event files; needs neither TensorFlow nor torch."""

    def __init__(self, folder: str) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer = EventFileWriter(folder)

    def log_hyperparams(self, settings: dict[str, Any]) -> None:
        """The run folder's config.yaml has them."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self.add(Summary(value=values), step)

    @property
    def experiment(self) -> "TensorBoard":
        """What add_image and add_text are called on, as with Lightning's logger."""
        return self

    def add_image(self, name: str, picture: np.ndarray, step: int, dataformats: str = "HWC") -> None:
        """A picture, uint8 (H, W, 3)."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        height, width = picture.shape[:2]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file.getvalue())
        self.add(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def add_text(self, name: str, text: str, step: int) -> None:
        """Text in Markdown."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self.add(text_pb(name, text), step)

    def add(self, summary: Any, step: int) -> None:
        import time

        from tensorboard.compat.proto.event_pb2 import Event

        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def save(self) -> None:
        self.writer.flush()

    def finalize(self, status: str) -> None:
        self.writer.close()


class WandB:
    """One W&B run."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def log_hyperparams(self, settings: dict[str, Any]) -> None:
        self.run.config.update(settings, allow_val_change=True)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.run.log({**metrics, "trainer/global_step": step})

    def log_image(self, name: str, pictures: list[np.ndarray]) -> None:
        """Pictures, uint8 (H, W, 3), beside the metrics logged next."""
        import wandb as client

        self.run.log({name: [client.Image(picture) for picture in pictures]}, commit=False)

    def log_table(self, name: str, columns: list[str], data: list[list[Any]]) -> None:
        """A table beside the metrics logged next."""
        import wandb as client

        self.run.log({name: client.Table(columns=columns, data=data)}, commit=False)

    def save(self) -> None:
        """W&B sends by itself."""

    def finalize(self, status: str) -> None:
        """shared.record.outlets.finish closes it."""


def tensorboard(folder: RunFolder) -> TensorBoard:
    """TensorBoard event files in `<run_dir>/tensorboard`."""
    return TensorBoard(str(folder.path / "tensorboard"))


def wandb(folder: RunFolder, wandb_project: str, entity: str | None, offline: bool) -> WandB | None:
    """A W&B run whose id is the run folder's, so that a resumed run continues it; None (and a line) if W&B refuses."""
    offline = offline or not has_login()
    mode = "offline" if offline else "online"
    try:
        import wandb as client

        run = client.init(
            project=wandb_project,
            entity=entity,
            name=folder.path.name,
            id=folder.id,
            dir=folder.path,
            mode=mode,
            resume=None if offline else "allow",
            settings=client.Settings(**WANDB_SETTINGS),
        )
        return WandB(run)
    except Exception as error:  # whatever W&B raises, the run matters more
        report_not_logging(error)
        return None
