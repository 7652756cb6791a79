"""The twin of shared/nets/line_recogniser.py, in Paddle; tests/nets/test_twins.py compares them.

A line recogniser for CTC: depthwise-separable convolutions, then a small transformer over the columns, as that file
explains. Every parameter has the name that it has in the twin, so that weights go from one to the other.
"""

from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from shared.ocr.lines.batch import STEPS, STRIDE, conv_stages, frames

CLASSIFIER = ("classify.weight", "classify.bias")
FAR = -1e4  # added to the score of a column outside the line; its weight then is 0, in half precision too


class Separable(nn.Layer):
    """x + pointwise(depthwise(x)), each with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2D(channels, channels, 3, padding=1, groups=channels, bias_attr=False)
        self.norm1 = nn.BatchNorm2D(channels)
        self.pointwise = nn.Conv2D(channels, channels, 1, bias_attr=False)
        self.norm2 = nn.BatchNorm2D(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.depthwise(x)))
        return F.silu(x + self.norm2(self.pointwise(y)))


def downsample(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    """A strided 3 x 3 convolution; a separable one where there are many channels to mix."""
    groups = inputs if inputs > 64 else 1
    middle = inputs if groups > 1 else outputs
    layers: list[nn.Layer] = [nn.Conv2D(inputs, middle, 3, stride, 1, groups=groups, bias_attr=False)]
    if groups > 1:
        layers += [nn.BatchNorm2D(inputs), nn.Conv2D(inputs, outputs, 1, bias_attr=False)]
    return nn.Sequential(*layers, nn.BatchNorm2D(outputs), nn.Silu())


class Layer(nn.Layer):
    """Self-attention and a feed-forward part, pre-norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, T, width) with an additive mask (N, 1, 1, T)."""
        width = x.shape[2]
        qkv = self.qkv(self.norm1(x)).reshape([0, 0, 3, self.heads, width // self.heads])
        query, key, value = qkv.transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = paddle.matmul(query, key, transpose_y=True) * (width // self.heads) ** -0.5
        mixed = paddle.matmul(F.softmax(scores + mask, axis=-1), value)
        mixed = self.out(mixed.transpose([0, 2, 1, 3]).reshape([0, 0, width]))
        x = x + F.dropout(mixed, self.dropout, training=self.training)
        return x + F.dropout(self.feed(self.norm2(x)), self.dropout, training=self.training)


class LineRecogniser(nn.Layer):
    """Images (N, 1, height, W) uint8, W a multiple of 4, and their widths (N,) -> CTC logits (N, W / 2, classes).

    `channels` of the three convolution stages, at 1/2, 1/4 and 1/8 of the height; `blocks` in each of them. A column of
    4 pixels is split into 2 frames after the transformer.
    Columns beyond an image's width are neither attended to nor part of its result.
    """

    def __init__(
        self,
        num_classes: int,
        height: int = 32,
        channels: tuple[int, int, int] = (24, 96, 192),
        blocks: tuple[int, int, int] = (0, 2, 3),
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = channels[-1]
        stages: list[nn.Layer] = []
        for inputs, outputs, stride, count in conv_stages(channels, blocks):
            stages += [downsample(inputs, outputs, stride), *(Separable(outputs) for _ in range(count))]
        self.stages = nn.Sequential(*stages)
        self.collapse = nn.Conv2D(width, width, (height // 8, 1), bias_attr=False)
        self.norm = nn.BatchNorm1D(width)
        self.position = nn.Conv1D(width, width, 7, padding=3, groups=width)
        self.layers = nn.LayerList([Layer(width, heads, dropout) for _ in range(layers)])
        self.split = nn.Linear(width, STEPS * width)
        self.final_norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, num_classes)

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        x = 1 - image.astype("float32") / 255  # ink is 1, paper and padding are 0
        x = F.silu(self.norm(self.collapse(self.stages(x)).squeeze(2)))
        inside = (STRIDE * paddle.arange(x.shape[2]).unsqueeze(0) < width.unsqueeze(1)).astype(x.dtype)
        x = x * inside.unsqueeze(1)
        x = (x + self.position(x)).transpose([0, 2, 1])
        mask = (1 - inside).unsqueeze([1, 2]) * FAR
        for layer in self.layers:
            x = layer(x, mask)
        x = self.split(x).reshape([0, -1, x.shape[2]])
        return self.classify(self.final_norm(x))

    def frames(self, width: Any, pixels: int) -> Any:
        """Output frames (N,) of lines `width` wide in a batch of `pixels`: those of the line itself."""
        return frames(width)
