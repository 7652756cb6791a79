"""Stored samples of every format as numbers in [-1, 1]; G.711 as ITU-T wrote it."""

import numpy as np

from projects.voxceleb.audio.riff import A_LAW, FLOAT, MU_LAW, Layout


def unpack(data: bytes, layout: Layout) -> np.ndarray:
    """float32 (frames, channels) in [-1, 1] if the stored type has bounds; what is cut off at the end is left out."""
    each = layout.bytes_each
    data = data[: len(data) // (each * layout.channels) * each * layout.channels]
    if layout.code == FLOAT:
        samples = np.frombuffer(data, f"<f{each}")
    elif layout.code in EXPANDED:
        samples = EXPANDED[layout.code][np.frombuffer(data, np.uint8)]
    elif each == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    elif each == 3:
        raw = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(raw), 4), np.uint8)
        whole[:, 1:] = raw
        samples = whole.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    else:
        samples = np.frombuffer(data, f"<i{each}").astype(np.float32) / np.float32(2.0 ** (8 * each - 1))
    return samples.reshape(-1, layout.channels)


def expand_mu_law() -> np.ndarray:
    """The 256 values of ITU-T G.711 mu-law, of 14 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    step, part = (code >> 4) & 7, code & 15
    size = ((2 * part.astype(int) + 33) << step) - 33
    return (np.where(code & 128, -size, size) * 4 / 2**15).astype(np.float32)


def expand_a_law() -> np.ndarray:
    """The 256 values of ITU-T G.711 A-law, of 13 bits."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    step, part = (code >> 4) & 7, 2 * (code & 15).astype(int) + 1
    size = np.where(step == 0, part, (part + 32) << np.maximum(step.astype(int) - 1, 0))
    return (np.where(code & 128, size, -size) * 8 / 2**15).astype(np.float32)


EXPANDED = {A_LAW: expand_a_law(), MU_LAW: expand_mu_law()}
