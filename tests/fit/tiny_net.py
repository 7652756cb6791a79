"""A network for runs of a second."""

from typing import Any

from torch import Tensor, nn


class TinyNet(nn.Module):
    """What makes resuming hard, in little: batch statistics, dropout, weights with and without decay."""

    def __init__(self, depth: int, num_classes: int, *options: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(36, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image).flatten(1))
