"""Log-mel features in plain torch; buffers are named as in published ResNetSE34V2 checkpoints (`torchfb.*`)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_RATE, N_FFT, WINDOW, HOP = 16_000, 512, 400, 160  # Hz, samples
EPSILON = 1e-6  # added to the power before the logarithm


def samples_of(frames: int) -> int:
    """Samples of a crop that is called `frames` long: 200 frames are 32,240 samples, 202 columns of features."""
    return frames * HOP + WINDOW - HOP


class PreEmphasis(nn.Module):
    """y[t] = x[t] - 0.97 x[t-1] for waves (N, samples); x[-1] is x[1], the mirror image."""

    def __init__(self, coefficient: float = 0.97) -> None:
        super().__init__()
        self.register_buffer("flipped_filter", torch.tensor([[[-coefficient, 1.0]]]))

    def forward(self, wave: Tensor) -> Tensor:
        before, now = self.flipped_filter.flatten()  # two products: torch's conv1d takes ten times as long
        padded = F.pad(wave[:, None], (1, 0), "reflect")[:, 0]
        return before * padded[:, :-1] + now * wave


class Spectrogram(nn.Module):
    """Power spectrogram (N, 257, 1 + samples // 160): Hamming window of 25 ms every 10 ms, mirrored at the ends."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hamming_window(WINDOW))

    def forward(self, wave: Tensor) -> Tensor:
        transform = torch.stft(
            wave, N_FFT, HOP, WINDOW, self.window, center=True, pad_mode="reflect", return_complex=True
        )
        return transform.real.square() + transform.imag.square()


class MelScale(nn.Module):
    """Sums the 257 frequency bins into `n_mels` bands."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("fb", mel_filters(n_mels))

    def forward(self, power: Tensor) -> Tensor:
        return (power.transpose(1, 2) @ self.fb).transpose(1, 2)


class MelSpectrogram(nn.Module):
    """Mel power spectrogram (N, n_mels, T) of waves (N, samples)."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.spectrogram, self.mel_scale = Spectrogram(), MelScale(n_mels)

    def forward(self, wave: Tensor) -> Tensor:
        return self.mel_scale(self.spectrogram(wave))


def mel_filters(n_mels: int) -> Tensor:
    """Triangles (257, n_mels) of height 1, evenly spaced on the mel scale 2595 log10(1 + f / 700) from 0 to 8 kHz."""
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    top = 2595 * torch.log10(torch.tensor(1 + SAMPLE_RATE / 2 / 700, dtype=torch.float64))
    mels = torch.linspace(0, 1, n_mels + 2, dtype=torch.float64) * top
    corners = 700 * (10 ** (mels / 2595) - 1)
    rise = (bins[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - bins[:, None]) / (corners[2:] - corners[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float()


def front_end(n_mels: int) -> nn.Sequential:
    """Waves (N, samples) to mel power (N, n_mels, T)."""
    return nn.Sequential(PreEmphasis(), MelSpectrogram(n_mels))


def normalised_log_mel(torchfb: nn.Module, wave: Tensor) -> Tensor:
    """Log-mel features (N, n_mels, T), each band with mean 0 and variance 1 over the utterance.

    In fp32 whatever the autocast: powers of quiet speech are below what half precisions resolve. `wave` may also be
    log-mels (N, n_mels, T) that were computed before, which are normalised only.
    """
    with torch.no_grad(), torch.autocast(wave.device.type, enabled=False):
        features = log_mel(torchfb, wave) if wave.ndim == 2 else wave.float()
        return F.instance_norm(features)


def log_mel(torchfb: nn.Module, wave: Tensor) -> Tensor:
    return (torchfb(wave.float()) + EPSILON).log()
