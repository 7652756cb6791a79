"""Line recognition with CTC: the loss in fp32, error rates over clear and degraded lines."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from shared.lightning.task import Batch, Task
from shared.ocr.lines.batch import by_width, check_frames, frames
from shared.ocr.reading.scores import LineScores
from shared.ocr.script.charset import BLANK


class Recognition(Task):
    """Batches as `shared.ocr.lines.batch.pad_lines` makes them; a label that does not fit its frames is a ValueError.

    Validation reads as `LineScores` does, with `beam` hypotheses.
    """

    def __init__(self, model: nn.Module, data: Any, beam: int = 1) -> None:
        super().__init__(model)
        self.data, self.line_scores = data, LineScores(data.charset, beam)
        # NaN counts: without "disable" torchmetrics leaves it out, and a broken network validates well.
        self.val_loss = MeanMetric(nan_strategy="disable")

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        """Logits (N, frames, classes)."""
        return self.model(image, width)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        losses = [self.ctc(self(part["image"], part["width"]), part) for part in by_width(batch)]
        return torch.cat(losses).mean(), {}

    def ctc(self, logits: Tensor, batch: Batch) -> Tensor:
        """Loss per line in nats per character (N,), in fp32 whatever the precision: long sums of logarithms."""
        available, lengths = frames(batch["width"]), batch["label_length"]
        check_frames(available, batch)
        scores = logits.float().log_softmax(2).transpose(0, 1)
        with torch.autocast(logits.device.type, enabled=False):
            losses = F.ctc_loss(scores, batch["label"], available, lengths, blank=BLANK, reduction="none")
        return losses / lengths.clamp(min=1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self(batch["image"], batch["width"])
        self.val_loss.update(self.ctc(logits, batch))
        self.line_scores.add(batch, logits.float().cpu().numpy(), frames(batch["width"]).tolist())

    def on_validation_epoch_end(self) -> None:
        counts = torch.tensor(self.line_scores.counts, device=self.device)
        self.line_scores.counts = self.trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        self.log("val/loss", self.val_loss.compute())
        for name, rate in self.line_scores.results().items():
            self.log(name, rate)
        self.val_loss.reset()
        self.line_scores.reset()
