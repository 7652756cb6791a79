"""Video classification: cross-entropy over three heads, top-1, top-5 and macro F1, parts frozen for a while."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from projects.video_lstm.classes import write_report
from projects.video_lstm.model import Logits
from shared.data.draws import keyed_generator
from shared.errors import UserError
from shared.lightning.task import Batch, Task
from shared.nets.resnet import MEAN, STD
from shared.record.outlets import errors_logged


class VideoClassification(Task):
    """Batches hold `clip` (N, T, 3, H, W) uint8, normalised here, on the device, and `label` (N,) int64.

    The loss is the mean over the heads of `Logits`; metrics are those of `combined`. `shuffle_frames` validates with
    each clip's frames in random order, to show whether order matters. `freeze`: parts of the backbone by name, and
    the number of epochs for which each stays as it is. `report`: folder for the table of the classes and the picture
    of their confusion; a training run keeps those of its best epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Any,
        label_smoothing: float = 0.0,
        shuffle_frames: bool = False,
        freeze: Mapping[str, int] | None = None,
        report: str | None = None,
    ) -> None:
        super().__init__(model)
        self.report_folder = Path(report).expanduser() if report else None
        self.best_top1 = -1.0
        self.class_names = data.class_names
        self.label_smoothing, self.shuffle_frames = label_smoothing, shuffle_frames
        self.freeze = dict(freeze or {})
        if unknown := self.freeze.keys() - dict(model.backbone.named_modules()).keys():
            what = f"the backbone has no part {min(unknown)}"
            raise UserError(what, "task.freeze", "name conv1, bn1 or layer1 to layer4")
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, 1, -1, 1, 1), persistent=False)
        # NaN counts: without "disable" torchmetrics leaves it out, and a broken network validates well.
        self.val = nn.ModuleDict({name: MeanMetric(nan_strategy="disable") for name in ("loss", "top5")})
        self.confusion = MulticlassConfusionMatrix(len(self.class_names))

    def forward(self, clip: Tensor) -> Logits:
        return self.model((clip - self.mean) / self.std)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits, label = self(batch["clip"]), batch["label"]
        losses = [F.cross_entropy(each, label, label_smoothing=self.label_smoothing) for each in logits]
        combined, spatial = (
            (each.detach().argmax(1) == label).float().mean() for each in (logits[-1], logits[0])
        )
        return torch.stack(losses).mean(), {"top1": combined, "top1_spatial": spatial}

    def on_train_start(self) -> None:
        self.hold_still()

    def on_train_epoch_start(self) -> None:
        self.hold_still()
        schedule = self.rails.schedule  # as logs have it that are written after the scheduler's step
        self.columns["lr/after_epoch"] = schedule.lr((self.current_epoch + 1) * schedule.steps_per_epoch)

    def hold_still(self) -> None:
        """Freeze what this epoch freezes: a function of the epoch alone, so that a resumed run does the same."""
        for name, epochs in self.freeze.items():
            frozen = self.current_epoch < epochs
            part = self.model.backbone.get_submodule(name)
            part.requires_grad_(not frozen).train(not frozen)  # in training BatchNorm would go on moving

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        clip, label = batch["clip"], batch["label"]
        logits = self(shuffled(clip, batch["index"]) if self.shuffle_frames else clip)
        losses = [F.cross_entropy(each, label, reduction="none") for each in logits]
        top5 = logits.combined.topk(min(5, len(self.class_names))).indices == label[:, None]
        self.val["loss"].update(torch.stack(losses).mean(0))
        self.val["top5"].update(top5.any(1).float())
        self.confusion.update(logits.combined, label)

    def on_validation_epoch_end(self) -> None:
        matrix = self.confusion.compute()
        found = {name: metric.compute() for name, metric in self.val.items()} | summary(matrix)
        self.log_dict({f"val/{name}": value for name, value in found.items()})
        for metric in (*self.val.values(), self.confusion):
            metric.reset()
        self.write_report(matrix, float(found["top1"]))

    def write_report(self, matrix: Tensor, top1: float) -> None:
        folder = self.report_folder
        if folder is None and hasattr(self, "rails") and top1 > self.best_top1:
            folder, self.best_top1 = self.rails.folder.path, top1
        if folder is not None and not self.global_rank:
            with (
                nullcontext() if folder is self.report_folder else errors_logged("classes.tsv, confusion.png")
            ):
                write_report(folder, matrix.cpu().numpy(), self.class_names)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["best_top1"] = self.best_top1

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A resumed run reports an epoch only if it is better than those before."""
        super().on_load_checkpoint(checkpoint)
        self.best_top1 = checkpoint.get("best_top1", self.best_top1)  # older files lack it


def summary(matrix: Tensor) -> dict[str, Tensor]:
    """Top-1 and macro F1 of a confusion matrix (label, answer); a class nobody has or answers has no F1."""
    right, total = matrix.diag().float(), (matrix.sum(0) + matrix.sum(1)).float()
    f1 = 2 * right[total > 0] / total[total > 0]
    return {"top1": right.sum() / matrix.sum(), "macro_f1": f1.mean()}


def shuffled(clip: Tensor, index: Tensor) -> Tensor:
    """Each clip's frames in an order drawn from its number in the data set."""
    draws = [keyed_generator(0, "shuffle_frames", index=number) for number in index.tolist()]
    orders = [torch.from_numpy(draw.permutation(clip.shape[1])) for draw in draws]
    return torch.stack([each[order] for each, order in zip(clip, orders, strict=True)])
