"""Line recognition with CTC: the loss in fp32, error rates over clear and degraded lines."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from shared.lightning.task import Batch, Task
from shared.ocr.lines.batch import by_width, frames
from shared.ocr.script.charset import BLANK
from shared.ocr.script.letter_model import decoder
from shared.ocr.script.metrics import ErrorRates

GROUPS = {"clear": 0, "degraded": 1}


class Recognition(Task):
    """Batches as `shared.ocr.lines.batch.pad_lines` makes them; a label that does not fit its frames is a ValueError.

    Validation reads the best path, or with a `beam` of more than 1 hypothesis and the script's language model.
    """

    def __init__(self, model: nn.Module, data: Any, beam: int = 1) -> None:
        super().__init__(model)
        self.data, self.charset = data, data.charset
        self.decode = decoder(self.charset, beam)
        # NaN counts: without "disable" torchmetrics leaves it out, and a broken network validates well.
        self.val_loss = MeanMetric(nan_strategy="disable")
        self.forget()

    def forget(self) -> None:
        self.rates = {name: ErrorRates(self.charset.language) for name in ("all", *GROUPS)}
        self.read: list[tuple[int, str, str]] = []

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        """Logits (N, frames, classes)."""
        return self.model(image, width)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        losses = [self.ctc(self(part["image"], part["width"]), part) for part in by_width(batch)]
        return torch.cat(losses).mean(), {}

    def ctc(self, logits: Tensor, batch: Batch) -> Tensor:
        """Loss per line in nats per character (N,), in fp32 whatever the precision: long sums of logarithms."""
        available = frames(batch["width"])
        short = available < batch["frames_needed"]
        if short.any():
            line = int(short.nonzero()[0])
            raise ValueError(f"{available[line]} frames are too few for {batch['text'][line]!r}")
        scores = logits.float().log_softmax(2).transpose(0, 1)
        with torch.autocast(logits.device.type, enabled=False):
            losses = F.ctc_loss(
                scores,
                batch["label"],
                available,
                batch["label_length"],
                blank=BLANK,
                reduction="none",
            )
        return losses / batch["label_length"].clamp(min=1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self(batch["image"], batch["width"])
        self.val_loss.update(self.ctc(logits, batch))
        scores, lengths = logits.float().cpu().numpy(), frames(batch["width"]).tolist()
        for row, (text, group, index) in enumerate(
            zip(batch["text"], batch["group"].tolist(), batch["index"].tolist(), strict=True)
        ):
            read = self.charset.decode(self.decode(scores[row, : lengths[row]])[0])
            self.rates["all"].add(text, read)
            self.rates[list(GROUPS)[group]].add(text, read)
            self.read.append((index, text, read))

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss.compute())
        self.sum_over_ranks()
        for name, rate in self.rates["all"].rates().items():
            self.log(f"val/{name}", rate)
        for group in GROUPS:
            if self.rates[group].sums["lines"]:
                rates = self.rates[group].rates()
                for name in ("cer", "line_accuracy"):
                    self.log(f"val/{name}_{group}", rates[name])
        self.val_loss.reset()
        self.forget()

    def sum_over_ranks(self) -> None:
        """Let every rank's error rates count the lines of all."""
        for rates in self.rates.values():
            own = torch.tensor(list(rates.sums.values()), device=self.device)
            found = self.trainer.strategy.reduce(own, reduce_op="sum").tolist()
            rates.sums = dict(zip(rates.sums, found, strict=True))
