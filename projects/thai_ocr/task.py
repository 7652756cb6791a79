"""Line recognition with CTC in Paddle: the loss in fp32, error rates over clear and degraded lines."""

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from shared.ocr.lines.batch import by_width, check_frames
from shared.ocr.reading.scores import LineScores
from shared.ocr.script.charset import BLANK
from shared.paddle.step import Batch
from shared.paddle.task import Task


class Recognition(Task):
    """Batches as `shared.ocr.lines.batch.pad_lines` makes them; a label that does not fit its frames is a ValueError.

    Validation reads as `LineScores` does, with `beam` hypotheses.
    """

    def __init__(self, model: nn.Layer, data: Any, beam: int = 1) -> None:
        super().__init__(model)
        self.data, self.line_scores = data, LineScores(data.charset, beam)
        self.losses: list[np.ndarray] = []

    def logits(self, batch: Batch) -> Tensor:
        """(N, frames, classes)."""
        return self.model(paddle.to_tensor(batch["image"]), paddle.to_tensor(batch["width"]))

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        losses = [self.ctc(self.logits(part), part) for part in by_width(batch)]
        return paddle.concat(losses).mean(), {}

    def ctc(self, logits: Tensor, batch: Batch) -> Tensor:
        """Loss per line in nats per character (N,), in fp32 whatever the precision: long sums of logarithms."""
        available, lengths = self.frames(batch), batch["label_length"]
        check_frames(available, batch)
        scores = logits.astype("float32").transpose([1, 0, 2])  # ctc_loss takes the softmax itself
        label = paddle.to_tensor(batch["label"].astype(np.int32))
        frames, lengths = paddle.to_tensor(available), paddle.to_tensor(lengths)
        with paddle.amp.auto_cast(enable=False):
            losses = F.ctc_loss(scores, label, frames, lengths, blank=BLANK, reduction="none")
        return losses.reshape([-1]) / lengths.clip(1).astype("float32")

    def frames(self, batch: Batch) -> np.ndarray:
        """Output frames of each line (N,)."""
        return self.model.frames(batch["width"], batch["image"].shape[3])

    def validation_step(self, batch: Batch) -> None:
        logits = self.logits(batch)
        self.losses.append(self.ctc(logits, batch).numpy())
        self.line_scores.add(batch, logits.astype("float32").numpy(), self.frames(batch))

    def validation_results(self) -> dict[str, float]:
        results = {"val/loss": float(np.concatenate(self.losses).mean()), **self.line_scores.results()}
        self.losses = []
        self.line_scores.reset()
        return results
