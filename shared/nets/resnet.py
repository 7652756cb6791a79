"""ResNet-18/34/50/101 (He et al. 2015, arXiv:1512.03385), state-dict compatible with the official weights.

The stride of a bottleneck sits on its 3x3 convolution ("v1.5"), as the official weights expect.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# What the official weights expect of RGB scaled to [0, 1].
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BlurPool2d(nn.Module):
    """3x3 binomial low-pass filter, then subsampling (Zhang 2019, arXiv:1904.11486)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        row = torch.tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(row, row).repeat(channels, 1, 1, 1)
        self.register_buffer("kernel", kernel, persistent=False)  # official weights hold no such key

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=self.stride, padding=1, groups=x.shape[1])


class BlurConv2d(nn.Conv2d):
    """Strided convolution with a low-pass filter before it; its weights are those of the plain convolution.

    Zhang filters after an unstrided convolution; filtering first costs a fourth of that in the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, **kwargs) -> None:
        blur_stride = stride if kernel_size == 1 else 1  # a 1x1 kernel sees only the samples it keeps
        super().__init__(in_channels, out_channels, kernel_size, stride // blur_stride, **kwargs)
        self.blur = BlurPool2d(in_channels, blur_stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.blur(x))


def conv(in_channels: int, out_channels: int, size: int, stride: int = 1, blur: bool = False) -> nn.Conv2d:
    kind = BlurConv2d if blur and stride > 1 else nn.Conv2d
    return kind(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False)


def shortcut(in_channels: int, out_channels: int, stride: int, blur: bool) -> nn.Sequential | None:
    """Projection of the residual branch's input, where its shape changes."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(conv(in_channels, out_channels, 1, stride, blur), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: ResNet-18 and 34."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, width, 3, stride, blur)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(in_channels, width, stride, blur)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (self.downsample(x) if self.downsample else x), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut: ResNet-50 and 101."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = conv(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride, blur)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride, blur)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return F.relu(out + (self.downsample(x) if self.downsample else x), inplace=True)


STAGES = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


class ResNet(nn.Module):
    """Images (N, 3, H, W) -> logits (N, num_classes); `features` -> pooled features (N, feature_dim).

    `zero_init_residual` starts every residual branch at zero (Goyal et al. 2017, arXiv:1706.02677). `width`: channels
    of the first stage. `checkpointing` keeps only each stage's input for the backward pass and computes the rest
    again (Chen et al. 2016, arXiv:1604.06174).
    """

    def __init__(
        self,
        depth: int = 50,
        num_classes: int = 1000,
        blurpool: bool = False,
        zero_init_residual: bool = False,
        width: int = 64,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.checkpointing = checkpointing
        block, repeats = STAGES[depth]
        self.conv1 = conv(3, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        if blurpool:
            self.maxpool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), BlurPool2d(width, stride=2))
        channels = width
        for stage, count in enumerate(repeats):
            blocks = []
            for position in range(count):
                stride = 2 if stage > 0 and position == 0 else 1
                blocks.append(block(channels, width * 2**stage, stride, blurpool))
                channels = width * 2**stage * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.feature_dim = channels
        self.fc = nn.Linear(channels, num_classes)
        self.init_weights(zero_init_residual)

    def init_weights(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                nn.init.zeros_(last.weight)

    def features(self, x: Tensor) -> Tensor:
        for part in (self.stem, self.layer1, self.layer2, self.layer3, self.layer4):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(part, x, use_reentrant=False, context_fn=self.recomputation)
            else:
                x = part(x)
        return x.mean(dim=(2, 3))

    def stem(self, x: Tensor) -> Tensor:
        return self.maxpool(F.relu(self.bn1(self.conv1(x)), inplace=True))

    def recomputation(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Contexts of the first and of the second computation: only the first may move the running statistics."""
        return nullcontext(), still(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))


@contextmanager
def still(module: nn.Module) -> Iterator[None]:
    """Let BatchNorm use the batch's statistics without taking them into its running ones."""
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    saved = [(each.momentum, each.num_batches_tracked.clone()) for each in norms]
    for each in norms:
        each.momentum = 0.0
    try:
        yield
    finally:
        for each, (momentum, batches) in zip(norms, saved, strict=True):
            each.momentum = momentum
            each.num_batches_tracked.copy_(batches)
