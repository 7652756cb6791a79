"""The twin of shared/paddle/nets/line_recogniser.py, in torch; tests/nets/test_twins.py compares them.

A line recogniser for CTC: depthwise-separable convolutions, then a small transformer over the columns. Convolutions of
MobileNet's kind (arXiv 1704.04861) see strokes; a depthwise convolution tells the transformer where columns are (arXiv
2102.10882), so that lines may be as wide as they like; pre-norm layers (arXiv 2002.04745). Every parameter has the name
that it has in the twin.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.ocr.lines.batch import STEPS, STRIDE, conv_stages, stretch_rows

CLASSIFIER = ("classify.weight", "classify.bias")


class Separable(nn.Module):
    """x + pointwise(depthwise(x)), each with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.depthwise(x)))
        return F.silu(x + self.norm2(self.pointwise(y)))


def downsample(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    """A strided 3 x 3 convolution; a separable one where there are many channels to mix."""
    groups = inputs if inputs > 64 else 1
    layers = [nn.Conv2d(inputs, inputs if groups > 1 else outputs, 3, stride, 1, groups=groups, bias=False)]
    if groups > 1:
        layers += [nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 1, bias=False)]
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.SiLU())


class Layer(nn.Module):
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
        batch, frames, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, frames, 3, self.heads, width // self.heads)
        mixed = attend(*qkv.permute(2, 0, 3, 1, 4).unbind(0), mask).transpose(1, 2)
        x = x + F.dropout(self.out(mixed.reshape(batch, frames, width)), self.dropout, self.training)
        return x + F.dropout(self.feed(self.norm2(x)), self.dropout, self.training)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention; in fp32 on a processor, where its backward pass in bf16 takes four times as long."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float(), attn_mask=mask)


class LineRecogniser(nn.Module):
    """Images (N, 1, height, W) uint8 and their widths (N,) -> CTC logits (N, W / 2, classes).

    `channels` of the three convolution stages, at 1/2, 1/4 and 1/8 of the height; `blocks` in each of them. A column of
    4 pixels is split into 2 frames after the transformer, which then costs no more for them.
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
        width, stages = channels[-1], []
        for inputs, outputs, stride, count in conv_stages(channels, blocks):
            stages += [downsample(inputs, outputs, stride), *(Separable(outputs) for _ in range(count))]
        self.stages = nn.Sequential(*stages)
        self.collapse = nn.Conv2d(width, width, (height // 8, 1), bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.position = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.split = nn.Linear(width, STEPS * width)
        self.final_norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, num_classes)

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        x = 1 - image.to(self.classify.weight.dtype) / 255  # ink is 1, paper and padding are 0
        x = F.silu(self.norm(self.collapse(self.stages(x)).squeeze(2)))
        inside = STRIDE * torch.arange(x.shape[2], device=x.device)[None] < width[:, None]
        x = x * inside[:, None]
        x = (x + self.position(x)).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, inside[:, None, None])
        batch, columns, size = x.shape
        x = self.split(x).reshape(batch, STEPS * columns, size)
        return self.classify(self.final_norm(x))


def stretched(model: LineRecogniser) -> Callable[[str, np.ndarray], np.ndarray]:
    """What `shared.nets.weights.load_weights` is to do to weights of another height, so that they fit."""
    rows = model.collapse.weight.shape[2]
    return lambda name, array: stretch_rows(array, rows) if name == "collapse.weight" else array
