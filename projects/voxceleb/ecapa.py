"""ECAPA-TDNN (Desplanques, Thienpondt, Demuynck 2020, arXiv 2005.07143): one-dimensional, stronger per FLOP."""

import torch
from torch import Tensor, nn

from projects.voxceleb.audio.features import front_end, normalised_log_mel
from shared.nets.weights import load_weights

SCALE = 8  # groups of a Res2 convolution


def conv_relu_bn(channels_in: int, channels: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv1d(channels_in, channels, kernel, padding=padding, dilation=dilation),
        nn.ReLU(),
        nn.BatchNorm1d(channels),
    )


class Res2Conv(nn.Module):
    """Dilated convolutions over groups of channels, each group fed with the one before it (arXiv 1904.01169)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        width = channels // SCALE
        self.convs = nn.ModuleList(conv_relu_bn(width, width, kernel, dilation) for _ in range(SCALE - 1))

    def forward(self, x: Tensor) -> Tensor:
        first, *groups = x.chunk(SCALE, 1)
        out, last = [first], torch.zeros_like(first)
        for conv, group in zip(self.convs, groups, strict=True):
            last = conv(group + last)
            out.append(last)
        return torch.cat(out, 1)


class SERes2Block(nn.Module):
    """1x1, Res2 and 1x1 convolutions, squeeze and excitation, and a residual."""

    def __init__(self, channels: int, kernel: int, dilation: int, bottleneck: int = 128) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            conv_relu_bn(channels, channels),
            Res2Conv(channels, kernel, dilation),
            conv_relu_bn(channels, channels),
        )
        self.gate = nn.Sequential(
            nn.Conv1d(channels, bottleneck, 1), nn.ReLU(), nn.Conv1d(bottleneck, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.convs(x)
        return x + out * self.gate(out.mean(2, keepdim=True))


class AttentiveStatistics(nn.Module):
    """Mean and deviation (N, 2 channels) over time, weighted per channel by an attention that sees the context."""

    def __init__(self, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            conv_relu_bn(3 * channels, hidden), nn.Tanh(), nn.Conv1d(hidden, channels, 1), nn.Softmax(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        variance, mean = torch.var_mean(x, 2, keepdim=True, correction=0)
        deviation = variance.clamp(min=1e-5).sqrt()  # a bare root has no gradient at silence
        weight = self.attention(torch.cat((x, mean.expand_as(x), deviation.expand_as(x)), 1)).float()
        mean = (x * weight).sum(2)
        variance = (x.square() * weight).sum(2) - mean.square()
        return torch.cat((mean, variance.clamp(min=1e-5).sqrt()), 1)


class EcapaTdnn(nn.Module):
    """Embeddings (N, embedding) of waves (N, samples) at 16 kHz, or of log-mels (N, n_mels, T).

    `weights` is a file of weights of any layout, or a run folder.
    """

    def __init__(
        self, n_mels: int = 80, embedding: int = 192, channels: int = 512, weights: str | None = None
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.torchfb = front_end(n_mels)
        self.stem = conv_relu_bn(n_mels, channels, 5)
        self.blocks = nn.ModuleList(SERes2Block(channels, 3, dilation) for dilation in (2, 3, 4))
        self.aggregation = nn.Sequential(nn.Conv1d(3 * channels, 1536, 1), nn.ReLU())
        self.pooling = AttentiveStatistics(1536)
        self.head = nn.Sequential(nn.BatchNorm1d(3072), nn.Linear(3072, embedding), nn.BatchNorm1d(embedding))
        if weights is not None:
            load_weights(self, weights, fixed=("torchfb.",))

    def forward(self, wave: Tensor) -> Tensor:
        x = self.stem(normalised_log_mel(self.torchfb, wave))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.head(self.pooling(self.aggregation(torch.cat(outputs, 1))))
