"""The log-mel front-end against one written with NumPy and SciPy alone."""

import numpy as np
import pytest
import torch
from scipy.signal import get_window, lfilter

from projects.voxceleb.audio.features import front_end, log_mel, normalised_log_mel, samples_of


def independent_log_mel(wave, n_mels):
    """Frame by frame, in float64, from the definitions."""
    emphasised = lfilter([1, -0.97], [1], wave)
    emphasised[0] = wave[0] - 0.97 * wave[1]
    padded = np.pad(emphasised, 256, "reflect")
    window = np.zeros(512)
    window[56:456] = get_window("hamming", 400)  # periodic, centred in the frame
    starts = range(0, len(padded) - 511, 160)
    power = np.array([np.abs(np.fft.rfft(padded[s : s + 512] * window)) ** 2 for s in starts])
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), n_mels + 2) / 2595) - 1)
    bins = np.arange(257) * 16000 / 512
    bank = np.array([np.interp(bins, edges[i : i + 3], [0, 1, 0], 0, 0) for i in range(n_mels)])
    return np.log(bank @ power.T + 1e-6)


@pytest.mark.parametrize("n_mels", [40, 64, 80])
def test_log_mel_agrees_with_an_independent_one(n_mels):
    rng = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * (200 + 2000 * time) * time) + rng.normal(0, 0.01, 16_000)
    ours = log_mel(front_end(n_mels), torch.tensor(wave[None], dtype=torch.float32))[0].numpy()
    theirs = independent_log_mel(wave, n_mels)
    assert ours.shape == theirs.shape == (n_mels, 101)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_200_frames_are_202_columns_in_fp32_under_autocast():
    assert samples_of(200) == 32_240
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = normalised_log_mel(front_end(64), torch.randn(2, 32_240))
    assert features.shape == (2, 64, 202) and features.dtype == torch.float32
    assert features.mean(2).abs().max() < 1e-4 and (features.var(2, correction=0) - 1).abs().max() < 1e-2


def test_log_mels_made_before_are_only_normalised():
    fb, wave = front_end(40), torch.randn(1, 16_000)
    torch.testing.assert_close(normalised_log_mel(fb, log_mel(fb, wave)), normalised_log_mel(fb, wave))
