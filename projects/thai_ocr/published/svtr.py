"""SVTR-tiny (Du et al. 2022, arXiv 2205.00159) in paddle.nn, with the official parameters' names, shapes and outputs.

Patches of 4 x 4 pixels, three stages of mixing blocks (local windows first, global attention then), the height halved
between them and pooled away at the end. Bent lines can be straightened first (rectify.py).
"""

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from projects.thai_ocr.published.ppocrv5 import official_image
from projects.thai_ocr.published.rectify import Rectify
from projects.thai_ocr.weights import load_weights

DIMS, DEPTHS, HEADS = (64, 128, 256), (3, 6, 3), (2, 4, 8)
LOCAL_BLOCKS, WINDOW = 6, (7, 11)  # the first blocks see a window of 7 x 11 patches
FAR = -1e4


class ConvNorm(nn.Layer):
    """A strided 3 x 3 convolution, batch norm and GELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(inputs, outputs, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2D(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.norm(self.conv(x)))


class Patches(nn.Layer):
    """(N, 3, H, W) -> (N, H/4 * W/4, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(ConvNorm(3, dim // 2), ConvNorm(dim // 2, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose([0, 2, 1])


class Mixer(nn.Layer):
    """Self-attention over patches, within a window if `mask` is given (additive, (patches, patches))."""

    def __init__(self, dim: int, heads: int, mask: Tensor | None) -> None:
        super().__init__()
        self.heads, self.mask = heads, mask
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        patches, dim = x.shape[1:]
        qkv = self.qkv(x).reshape([-1, patches, 3, self.heads, dim // self.heads])
        query, key, value = qkv.transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = paddle.matmul(query * (dim // self.heads) ** -0.5, key, transpose_y=True)
        if self.mask is not None:
            scores = scores + self.mask
        mixed = paddle.matmul(F.softmax(scores, axis=-1), value)
        return self.proj(mixed.transpose([0, 2, 1, 3]).reshape([-1, patches, dim]))


class Feed(nn.Layer):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Layer):
    """A mixer and a feed-forward part, each pre-norm; `drop` is the chance that a sample passes it by in training."""

    def __init__(self, dim: int, heads: int, mask: Tensor | None, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.norm1, self.norm2 = nn.LayerNorm(dim, epsilon=1e-6), nn.LayerNorm(dim, epsilon=1e-6)
        self.mixer, self.mlp = Mixer(dim, heads, mask), Feed(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.passed_by(self.mixer(self.norm1(x)))
        return x + self.passed_by(self.mlp(self.norm2(x)))

    def passed_by(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return x
        return x * (paddle.rand([x.shape[0], 1, 1]) >= self.drop).astype(x.dtype) / (1 - self.drop)


class Merging(nn.Layer):
    """Half the height: (N, h * w, inputs) -> (N, h/2 * w, outputs)."""

    def __init__(self, inputs: int, outputs: int, rows: int, columns: int) -> None:
        super().__init__()
        self.grid = [inputs, rows, columns]
        self.conv = nn.Conv2D(inputs, outputs, 3, stride=(2, 1), padding=1)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        grid = x.transpose([0, 2, 1]).reshape([-1, *self.grid])
        return self.norm(self.conv(grid).flatten(2).transpose([0, 2, 1]))


class Backbone(nn.Layer):
    """(N, 3, H, W) of one size -> (N, outputs, 1, frames)."""

    def __init__(self, height: int, width: int, frames: int, outputs: int) -> None:
        super().__init__()
        rows, columns = height // 4, width // 4
        drops = iter(np.linspace(0, 0.1, sum(DEPTHS)).tolist())
        self.grid = [DIMS[2], rows // 4, columns]  # in numbers: what is exported must know them
        self.patch_embed = Patches(DIMS[0])
        self.pos_embed = self.create_parameter(
            [1, rows * columns, DIMS[0]], default_initializer=nn.initializer.TruncatedNormal(std=0.02)
        )
        stages = []
        for stage, (dim, depth, heads) in enumerate(zip(DIMS, DEPTHS, HEADS, strict=True)):
            first = sum(DEPTHS[:stage])
            mask = window_mask(rows >> stage, columns, *WINDOW)
            masks = [mask if first + number < LOCAL_BLOCKS else None for number in range(depth)]
            stages.append(nn.LayerList([Block(dim, heads, each, next(drops)) for each in masks]))
        self.blocks1, self.blocks2, self.blocks3 = stages
        self.sub_sample1 = Merging(DIMS[0], DIMS[1], rows, columns)
        self.sub_sample2 = Merging(DIMS[1], DIMS[2], rows // 2, columns)
        self.norm = nn.LayerNorm(DIMS[2], epsilon=1e-6)
        self.avg_pool = nn.AdaptiveAvgPool2D([1, frames])
        self.last_conv = nn.Conv2D(DIMS[2], outputs, 1, bias_attr=False)
        self.dropout = nn.Dropout(
            0.1, mode="downscale_in_infer"
        )  # the official weights expect outputs times 0.9

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks1:
            x = block(x)
        x = self.sub_sample1(x)
        for block in self.blocks2:
            x = block(x)
        x = self.sub_sample2(x)
        for block in self.blocks3:
            x = block(x)
        grid = self.norm(x).transpose([0, 2, 1]).reshape([-1, *self.grid])
        return self.dropout(F.hardswish(self.last_conv(self.avg_pool(grid))))


def window_mask(rows: int, columns: int, high: int, wide: int) -> Tensor:
    """0 where a patch lies within `high` x `wide` around another one, else FAR: (rows * columns,) * 2."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    near = (abs(y[:, None] - y) <= high // 2) & (abs(x[:, None] - x) <= wide // 2)
    return paddle.to_tensor(np.where(near, 0, FAR).astype(np.float32))


class Head(nn.Layer):
    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


class SVTR(nn.Layer):
    """Lines (N, 1, height, W) uint8 -> CTC logits (N, frames, classes); those wider than `width` pixels are squeezed.

    With `rectified` (height, width) they are straightened to that size first.
    """

    def __init__(
        self,
        num_classes: int,
        height: int,
        width: int,
        frames: int,
        outputs: int,
        rectified: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.size, self.width, self.count = (height, width), width, frames
        self.transform = Rectify(*rectified) if rectified else None
        height, width = rectified or (height, width)
        self.backbone = Backbone(height, width, frames, outputs)
        self.head = Head(outputs, num_classes)

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        return self.scores(official_image(image, width, self.width))

    def scores(self, x: Tensor) -> Tensor:
        """Logits of images as PaddleOCR prepares them: (N, 3, height, W) in [-1, 1], 0 beyond the line."""
        x = squeeze(x, *self.size)
        if self.transform is not None:
            x = self.transform(x)
        return self.head(self.backbone(x).squeeze(2).transpose([0, 2, 1]))

    def frames(self, width: Any, pixels: int) -> Any:
        """Output frames of lines `width` wide in a batch of `pixels`: always all."""
        return width * 0 + self.count


def squeeze(x: Tensor, height: int, width: int) -> Tensor:
    """Lines (N, 3, height, W), 0 beyond each one's end -> (N, 3, height, width).

    Each line wider than that is squeezed for itself, whatever else is in its batch; the others stay as they are.
    """
    if x.shape[3] == width:
        return x
    ends = (x.abs().sum(axis=[1, 2]) > 0).astype("float32").sum(axis=1).clip(min=width)
    columns = (paddle.arange(width, dtype="float32") + 0.5) * 2 / width  # 0 ... 2 over the result
    pixels = paddle.ones_like(x[:, 0, 0]).sum(axis=1)  # W, of which an exported graph knows no number
    across = columns.unsqueeze(0) * (ends / pixels).unsqueeze(1) - 1
    down = (paddle.arange(height, dtype="float32") + 0.5) * 2 / height - 1
    shape = [-1, height, width]
    grid = [across.unsqueeze(1).expand(shape), (across.unsqueeze(1) * 0 + down.unsqueeze(1)).reshape(shape)]
    return F.grid_sample(x, paddle.stack(grid, axis=3), align_corners=False)


def svtr_tiny(
    num_classes: int,
    height: int,
    characters: str,
    width: int,
    frames: int,
    outputs: int,
    rectified: tuple[int, int] | None = None,
    weights: str | None = None,
) -> SVTR:
    """SVTR-tiny for `characters`, fresh or with the weights of a file, as `load_weights` says."""
    model = SVTR(num_classes, height, width, frames, outputs, rectified)
    if weights is not None:
        load_weights(model, weights, characters, classifier=("head.fc.weight", "head.fc.bias"))
    return model
