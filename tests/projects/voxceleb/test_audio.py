"""WAV files as they are and as they should not be: read right, or refused by name."""

import struct

import numpy as np
import pytest

from projects.voxceleb.audio.augment import Augment, mix
from projects.voxceleb.audio.waves import AudioError, frames_of, read_wave, repeated, write_wave
from shared.data.draws import keyed_generator
from shared.errors import UserError

RAMP = np.linspace(-0.5, 0.5, 1600)


def riff(samples, code=1, rate=16_000, channels=1, promised=None, before=b""):
    """A WAV file of samples in their own type, with the header said."""
    width = samples.dtype.itemsize
    form = struct.pack("<HHIIHH", code, channels, rate, rate * channels * width, channels * width, 8 * width)
    size = len(samples.tobytes()) if promised is None else promised
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + before + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + size & 0xFFFFFFFF) + body + samples.tobytes()


@pytest.fixture
def put(tmp_path):
    def write(content):
        (tmp_path / "a.wav").write_bytes(content)
        return str(tmp_path / "a.wav")

    return write


@pytest.mark.parametrize(
    "stored, code",
    [
        ((RAMP * 2**15).astype("<i2"), 1),
        ((RAMP * 2**31).astype("<i4"), 1),
        (np.rint(RAMP * 128 + 128).astype("u1"), 1),
        (RAMP.astype("<f4"), 3),
        (RAMP.astype("<f8"), 3),
    ],
)
def test_every_sample_type_comes_out_the_same(put, stored, code):
    path = put(riff(stored, code, before=b"LIST\x03\0\0\0abc\0"))
    assert frames_of(path) == 1600
    np.testing.assert_allclose(read_wave(path), RAMP, atol=0.01 if stored.dtype.itemsize == 1 else 1e-4)
    assert read_wave(path).dtype == np.float32


def test_parts_are_read_without_the_rest(put):
    path = put(riff((RAMP * 2**15).astype("<i2")))
    np.testing.assert_array_equal(read_wave(path, 100, 50), read_wave(path)[100:150])
    assert len(read_wave(path, 1590, 50)) == 10


def test_stereo_is_averaged_and_a_streamed_header_believed_to_the_end(put):
    stereo = np.stack((RAMP, -RAMP / 2), 1).astype("<f4")
    np.testing.assert_allclose(read_wave(put(riff(stereo, 3, channels=2))), RAMP / 4, atol=1e-6)
    assert frames_of(put(riff((RAMP * 100).astype("<i2"), promised=0xFFFFFFFF))) == 1600


def poisoned(value):
    samples = RAMP.astype("<f4")
    samples[700] = value
    return riff(samples, 3)


@pytest.mark.parametrize(
    "content, why",
    [
        (poisoned(np.nan), "no audio"),
        (poisoned(np.inf), "no audio"),
        (poisoned(1e20), "1e\\+20"),
        (riff(np.zeros(0, "<i2")), "is empty"),
        (riff(np.zeros(100, "<i2"), promised=4000), "promises 2000 samples and it holds 100"),
        (riff(np.zeros(100, "<i2"), rate=8000), "8000 Hz instead of 16000.*ffmpeg"),
        (riff(np.zeros(100, "<i2"), code=85), "format 85"),
        (riff(np.zeros(100, "<i2"), channels=0), "not read"),
        (riff(np.zeros(100, "<i2"))[:30], "cut off|no samples"),
        (b"", "no WAV"),
        (b"fLaC" + bytes(100), "no WAV file; convert it"),
    ],
)
def test_what_is_no_speech_is_refused_by_name(put, content, why):
    with pytest.raises(AudioError, match=rf"a\.wav: .*({why})"):
        read_wave(put(content))


def test_a_missing_file_is_named(tmp_path):
    for read in (read_wave, frames_of):
        with pytest.raises(AudioError, match=r"gone\.wav: No such file"):
            read(str(tmp_path / "gone.wav"))


def test_write_then_read_clips(tmp_path):
    write_wave(tmp_path / "a.wav", RAMP * 4)
    np.testing.assert_allclose(read_wave(str(tmp_path / "a.wav")), np.clip(RAMP * 4, -1, 1), atol=1e-4)
    np.testing.assert_array_equal(repeated(np.arange(3), 7), [0, 1, 2, 0, 1, 2, 0])


SPEECH = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.mark.parametrize("wave", [SPEECH, np.zeros(16_000, np.float32), np.ones(16_000, np.float32)])
def test_every_effect_is_finite_repeatable_and_of_the_same_length(wave):
    augment = Augment(1.0)
    for effect in augment.effects:
        first, again = (effect(wave, keyed_generator(0, "a", 0, 1)) for _ in range(2))
        assert len(first) == len(wave) and np.isfinite(first).all()
        np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(Augment(0.0)(wave, keyed_generator(0, "a")), wave)


def test_files_of_noise_and_rooms_are_used(tmp_path):
    for kind in ("noise", "music", "speech"):
        (tmp_path / kind).mkdir()
        write_wave(tmp_path / kind / "a.wav", SPEECH)
    (tmp_path / "rir").mkdir()
    impulse = np.zeros(800)
    impulse[100] = 0.9
    write_wave(tmp_path / "rir" / "a.wav", impulse)
    augment = Augment(1.0, str(tmp_path), str(tmp_path / "rir"))
    draw = keyed_generator(0, "a")
    delayed = augment.reverberate(SPEECH, draw)
    np.testing.assert_allclose(delayed[100:], SPEECH[:-100], atol=1e-4)
    assert all(len(augment(SPEECH[:4000], draw)) == 4000 for _ in range(20))
    with pytest.raises(UserError, match=r"data\.augment\.musan"):
        Augment(musan=str(tmp_path / "rir"))


def test_mix_keeps_the_ratio():
    noise = mix(SPEECH, np.roll(SPEECH, 1) * 7, 10) - SPEECH
    assert 10 * np.log10(np.square(SPEECH).mean() / np.square(noise).mean()) == pytest.approx(10, abs=1e-3)
