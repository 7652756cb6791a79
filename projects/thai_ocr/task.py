"""Line recognition with CTC in Paddle: the loss in fp32, error rates over clear and degraded lines."""

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from shared.ocr.lines.batch import by_width
from shared.ocr.script.charset import BLANK
from shared.ocr.script.letter_model import decoder
from shared.ocr.script.metrics import ErrorRates
from shared.paddle.step import Batch
from shared.paddle.task import Task

GROUPS = ("clear", "degraded")


class Recognition(Task):
    """Batches as `shared.ocr.lines.batch.pad_lines` makes them; a label that does not fit its frames is a ValueError.

    Validation reads the best path, or with a `beam` of more than 1 hypothesis and the script's language model.
    """

    def __init__(self, model: nn.Layer, data: Any, beam: int = 1) -> None:
        super().__init__(model)
        self.data, self.charset = data, data.charset
        self.decode = decoder(self.charset, beam)
        self.forget()

    def forget(self) -> None:
        self.rates = {name: ErrorRates(self.charset.language) for name in ("all", *GROUPS)}
        self.read: list[tuple[int, str, str]] = []
        self.losses: list[np.ndarray] = []

    def logits(self, batch: Batch) -> Tensor:
        """(N, frames, classes)."""
        return self.model(paddle.to_tensor(batch["image"]), paddle.to_tensor(batch["width"]))

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        losses = [self.ctc(self.logits(part), part) for part in by_width(batch)]
        return paddle.concat(losses).mean(), {}

    def ctc(self, logits: Tensor, batch: Batch) -> Tensor:
        """Loss per line in nats per character (N,), in fp32 whatever the precision: long sums of logarithms."""
        available = self.frames(batch)
        if (short := available < batch["frames_needed"]).any():
            line = int(short.argmax())
            raise ValueError(f"{available[line]} frames are too few for {batch['text'][line]!r}")
        lengths = batch["label_length"]
        with paddle.amp.auto_cast(enable=False):
            losses = F.ctc_loss(  # takes the softmax itself
                logits.astype("float32").transpose([1, 0, 2]),
                paddle.to_tensor(batch["label"].astype(np.int32)),
                paddle.to_tensor(available),
                paddle.to_tensor(lengths),
                blank=BLANK,
                reduction="none",
            )
        return losses.reshape([-1]) / paddle.to_tensor(lengths.clip(1).astype(np.float32))

    def frames(self, batch: Batch) -> np.ndarray:
        """Output frames of each line (N,)."""
        return self.model.frames(batch["width"], batch["image"].shape[3])

    def validation_step(self, batch: Batch) -> None:
        logits = self.logits(batch)
        self.losses.append(self.ctc(logits, batch).numpy())
        scores, frames = logits.astype("float32").numpy(), self.frames(batch)
        for row, (text, group, index) in enumerate(
            zip(batch["text"], batch["group"].tolist(), batch["index"].tolist(), strict=True)
        ):
            read = self.charset.decode(self.decode(scores[row, : frames[row]])[0])
            self.rates["all"].add(text, read)
            self.rates[GROUPS[group]].add(text, read)
            self.read.append((index, text, read))

    def validation_results(self) -> dict[str, float]:
        results = {"val/loss": float(np.concatenate(self.losses).mean())}
        results |= {f"val/{name}": rate for name, rate in self.rates["all"].rates().items()}
        for group in GROUPS:
            if self.rates[group].sums["lines"]:
                rates = self.rates[group].rates()
                results |= {f"val/{name}_{group}": rates[name] for name in ("cer", "line_accuracy")}
        self.forget()
        return results
