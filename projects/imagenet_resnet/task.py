"""Image classification: cross-entropy with label smoothing, mixup and cutmix as options, top-1 and top-5."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from shared.lightning.task import Batch, Task
from shared.nets.resnet import MEAN, STD


class Classification(Task):
    """Batches hold `image` (N, 3, H, W) uint8, normalised here, on the device, and `label` (N,) int64.

    `mixup` (arXiv 1710.09412) and `cutmix` (arXiv 1905.04899) are the alphas of their Beta distributions, 0 for none;
    with both, each batch takes one of the two at random.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Any,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        channels_last: bool = False,
    ) -> None:
        super().__init__(model)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.label_smoothing, self.mixup, self.cutmix = label_smoothing, mixup, cutmix
        self.classes = data.num_classes
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        # NaN counts: without "disable" torchmetrics leaves it out, and a broken network validates well.
        means = {name: MeanMetric(nan_strategy="disable") for name in ("loss", "top1", "top5")}
        self.val = nn.ModuleDict(means)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of uint8 images (N, 3, H, W)."""
        return self.model(self.normalise(image))

    def normalise(self, image: Tensor) -> Tensor:
        return ((image - self.mean) / self.std).contiguous(memory_format=self.layout)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        image, label = self.normalise(batch["image"]), batch["label"]
        target = label
        if self.mixup or self.cutmix:
            image, target = self.mix(image, label)
        logits = self.model(image)
        loss = F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)
        return loss, {"top1": (logits.detach().argmax(1) == label).float().mean()}

    def mix(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Each image with its neighbour in the batch, and the targets (N, classes) in the same proportion.

        Drawn from torch's generator on the processor, whose state checkpoints hold.
        """
        cut = self.cutmix > 0 and (self.mixup == 0 or torch.rand(()).item() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        share = torch.distributions.Beta(alpha, alpha).sample().item()
        other = image.roll(1, 0)
        if cut:
            image, share = paste(image, other, share)
        else:
            image = image.lerp(other, 1 - share)
        target = F.one_hot(label, self.classes).to(image.dtype)
        return image, target.lerp(target.roll(1, 0), 1 - share)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        label = batch["label"]
        logits = self(batch["image"])
        top5 = logits.topk(min(5, self.classes)).indices == label[:, None]
        self.val["loss"].update(F.cross_entropy(logits, label, reduction="none"))
        self.val["top1"].update(top5[:, 0].float())
        self.val["top5"].update(top5.any(1).float())

    def on_validation_epoch_end(self) -> None:
        for name, metric in self.val.items():
            self.log(f"val/{name}", metric.compute())
            metric.reset()


def paste(image: Tensor, other: Tensor, share: float) -> tuple[Tensor, float]:
    """Paste a box of `other` that covers about 1 - `share`; returns the images and the share really kept."""
    height, width = image.shape[2:]
    side = (1 - share) ** 0.5
    y, x = (torch.rand(2) * torch.tensor([height, width])).int().tolist()
    top, bottom = max(0, y - int(height * side / 2)), min(height, y + int(height * side / 2))
    left, right = max(0, x - int(width * side / 2)), min(width, x + int(width * side / 2))
    image = image.clone()
    image[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    return image, 1 - (bottom - top) * (right - left) / (height * width)
