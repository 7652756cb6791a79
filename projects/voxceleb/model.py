"""ResNetSE34V2, the speaker network of clovaai/voxceleb_trainer, written afresh with its state-dict names.

Source: H. S. Heo, B.-J. Lee, J. Huh, J. S. Chung, Clova baseline system for the VoxCeleb Speaker Recognition
Challenge 2020, arXiv 2009.14153; SE: arXiv 1709.01507; attentive statistics pooling: arXiv 1803.10963.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from projects.voxceleb.audio.features import front_end, normalised_log_mel
from shared.errors import UserError
from shared.nets.weights import load_weights

BLOCKS = (3, 4, 6, 3)
POOLING = ("ASP", "SAP")


class SELayer(nn.Module):
    """Squeeze and excitation: each channel is scaled by a gate that sees the channels' means."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class SEBasicBlock(nn.Module):
    """Two 3x3 convolutions with a squeezed and excited residual; note the order: ReLU before batch norm."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SELayer(channels)
        self.relu = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.relu(self.conv1(x)))
        return self.relu(self.se(self.bn2(self.conv2(out))) + self.downsample(x))


class ResNetSE34V2(nn.Module):
    """Embeddings (N, embedding) of waves (N, samples) at 16 kHz in [-1, 1], or of log-mels (N, n_mels, T).

    8,028,492 parameters with the defaults. `pooling` is ASP (attentive mean and deviation) or SAP (attentive mean).
    `weights` is a file of weights of any layout, or a run folder.
    """

    def __init__(
        self,
        n_mels: int = 64,
        embedding: int = 512,
        pooling: str = "ASP",
        widths: Sequence[int] = (32, 64, 128, 256),
        blocks: Sequence[int] = BLOCKS,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLING:
            raise UserError(f"no pooling {pooling!r}", "model.pooling", f"choose {' or '.join(POOLING)}")
        if n_mels % 8 or any(width % 8 for width in widths):
            raise UserError(
                f"n_mels {n_mels}, widths {list(widths)}", "model", "give multiples of 8: 40, 64 or 80 mels"
            )
        self.pooling, self.embedding = pooling, embedding
        self.torchfb = front_end(n_mels)
        self.conv1 = nn.Conv2d(1, widths[0], 3, 1, 1)
        self.relu = nn.ReLU()
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = (widths[0], *widths[:-1])
        for number, (width_in, width, count) in enumerate(zip(inputs, widths, blocks, strict=True), 1):
            first = SEBasicBlock(width_in, width, stride=1 if number == 1 else 2)
            rest = (SEBasicBlock(width, width, stride=1) for _ in range(count - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        features = widths[-1] * n_mels // 8
        self.attention = nn.Sequential(
            nn.Conv1d(features, 128, 1),
            nn.ReLU(),
            nn.BatchNorm1d(128),
            nn.Conv1d(128, features, 1),
            nn.Softmax(2),
        )
        self.fc = nn.Linear(features * (2 if pooling == "ASP" else 1), embedding)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if weights is not None:
            load_weights(self, weights, fixed=("torchfb.",))

    def forward(self, wave: Tensor) -> Tensor:
        x = normalised_log_mel(self.torchfb, wave)[:, None]
        x = self.bn1(self.relu(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x)))).flatten(1, 2)
        return self.fc(self.pool(x))

    def pool(self, x: Tensor) -> Tensor:
        """Attentive statistics (N, features or 2 features) of x (N, features, T); the variance in fp32."""
        weight, x = self.attention(x).float(), x.float()
        mean = (x * weight).sum(2)
        if self.pooling == "SAP":
            return mean
        variance = (x.square() * weight).sum(2) - mean.square()
        return torch.cat((mean, variance.clamp(min=1e-5).sqrt()), 1)
