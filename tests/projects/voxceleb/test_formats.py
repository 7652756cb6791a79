"""Sound files as recorders, pipes and converters write them: read as FFmpeg reads them, or refused by name."""

import random
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
from scipy.io import wavfile

from projects.voxceleb.audio.riff import AudioError
from projects.voxceleb.audio.waves import frames_of, is_sound, read_wave
from tests.projects.voxceleb.sounds import INTEGERS, SPEECH, chunk, ds64, encode, extensible, form, wav


def by_ffmpeg(path):
    """float32 samples of all channels' mean."""
    with av.open(str(path)) as container:
        audio = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout=audio.layout, rate=audio.rate)
        frames = [out for frame in container.decode(audio) for out in resampler.resample(frame)]
        return np.concatenate([f.to_ndarray().reshape(-1, audio.channels) for f in frames]).mean(1)


CODECS = ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"]


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("rf64", ["never", "always"])
@pytest.mark.parametrize("codec", CODECS)
def test_every_coding_is_read_as_ffmpeg_reads_it(tmp_path, codec, rf64, layout):
    path = encode(tmp_path / "a.wav", codec, layout, rf64=rf64)
    assert path.read_bytes()[:4] == (b"RF64" if rf64 == "always" else b"RIFF")
    expected = by_ffmpeg(path)  # which counts the byte that evens an odd RF64 as a sample
    assert frames_of(str(path)) == len(expected) and len(expected) - len(SPEECH) in (0, 1)
    np.testing.assert_allclose(read_wave(str(path)), expected, atol=1e-6)
    np.testing.assert_array_equal(read_wave(str(path), 1000, 70), read_wave(str(path))[1000:1070])


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("container", ["flac"])
def test_flac_is_read_in_whole_and_in_parts(tmp_path, container, layout):
    path = encode(tmp_path / "a.flac", "flac", layout, container=container)
    assert frames_of(str(path)) == len(SPEECH)
    whole = read_wave(str(path))
    np.testing.assert_allclose(whole, by_ffmpeg(path), atol=1e-6)
    for start in (0, 1, 1000, 1151, 1152, 1153, 4000, 4607, 4608, 5000):
        for frames in (1, 70, 5000):
            np.testing.assert_array_equal(read_wave(str(path), start, frames), whole[start : start + frames])


TWENTY_FOUR = (INTEGERS.astype("<i4") << 8).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
IN_32 = (INTEGERS.astype("<i4") << 16).tobytes()
AS_READ = {
    "plain": wav(),
    "length 0": wav(length=0, total=0),
    "length 0xFFFFFFFF": wav(length=0xFFFFFFFF, total=0xFFFFFFFF),
    "length 0x7FFFFFFF": wav(length=0x7FFFFFFF, total=0x7FFFFFFF),
    "length of sox": wav(length=0x7FFFF000, total=0x7FFFF024),
    "length 0x80000000": wav(length=0x80000000),
    "length 0xFFFFFFFF - 36": wav(length=0xFFFFFFDB),
    "total of 0": wav(total=0),
    "RF64": wav(length=0xFFFFFFFF, before=ds64(len(INTEGERS) * 2), head=b"RF64", total=0xFFFFFFFF),
    "BW64": wav(length=0xFFFFFFFF, before=ds64(len(INTEGERS) * 2), head=b"BW64", total=0xFFFFFFFF),
    "RF64 without its length": wav(length=0xFFFFFFFF, before=ds64(0), head=b"RF64", total=0xFFFFFFFF),
    "RF64 and a chunk after": wav(
        length=0xFFFFFFFF, before=ds64(len(INTEGERS) * 2), head=b"RF64", after=chunk(b"LIST", b"INFO" * 9)
    ),
    "chunks before": wav(before=chunk(b"JUNK", bytes(28)) + chunk(b"bext", bytes(602))),
    "an odd chunk": wav(before=chunk(b"LIST", b"INFOISFTabc")),
    "an odd chunk that is not evened": wav(before=chunk(b"LIST", b"INFOISFTabc", pad=False)),
    "chunks after": wav(after=chunk(b"LIST", b"INFO" * 30) + chunk(b"id3 ", bytes(99))),
    "rubbish after": wav(after=b"\xff\x01" * 21),
    "a fact": wav(fmt=form() + chunk(b"fact", struct.pack("<I", len(INTEGERS)))),
    "a format of 18 bytes": wav(fmt=form(more=b"\0\0")),
    "extensible": wav(fmt=extensible(1, 16, 16)),
    "extensible, without the extension": wav(fmt=form(0xFFFE)),
    "extensible, of zeros": wav(fmt=form(0xFFFE, more=bytes(24))),
    "float with an extension of zeros": wav(
        fmt=form(3, bits=32, more=bytes(24)), data=(INTEGERS / 2**15).astype("<f4").tobytes()
    ),
    "24 bits": wav(fmt=form(bits=24), data=TWENTY_FOUR),
    "24 bits, extensible": wav(fmt=extensible(1, 24, 24), data=TWENTY_FOUR),
    "24 valid bits in 32": wav(fmt=extensible(1, 32, 24), data=IN_32),
    "24 bits in 4 bytes": wav(fmt=form(bits=24, align=4), data=IN_32),
    "12 bits in 2 bytes": wav(fmt=form(bits=12, align=2)),
    "float": wav(fmt=form(3, bits=32), data=(INTEGERS / 2**15).astype("<f4").tobytes()),
    "float, extensible": wav(fmt=extensible(3, 32, 32), data=(INTEGERS / 2**15).astype("<f4").tobytes()),
    "an alignment of 0": wav(fmt=form(align=0)),
    "a wrong byte rate": wav().replace(struct.pack("<I", 32_000), struct.pack("<I", 7), 1),
    "half a sample more": wav(data=INTEGERS.tobytes() + b"\1", length=2 * len(INTEGERS)),
}


@pytest.mark.parametrize("case", AS_READ)
def test_odd_headers_give_the_same_sound(tmp_path, case):
    path = tmp_path / "a.wav"
    path.write_bytes(AS_READ[case])
    sound = read_wave(str(path))
    spare = 21 if case == "rubbish after" and len(sound) > len(INTEGERS) else 0
    assert frames_of(str(path)) == len(sound) == len(INTEGERS) + spare
    np.testing.assert_allclose(sound[: len(INTEGERS)], INTEGERS / 2**15, atol=1e-6)


def as_flac(tmp_path, change):
    data = bytearray(encode(tmp_path / "whole.flac", "flac", container="flac").read_bytes())
    return bytes(change(data))


def flipped(data):
    data[len(data) // 2] ^= 255
    return data


REFUSED = {
    "nothing": (b"", "no WAV"),
    "zeros": (bytes(9000), "zero bytes only"),
    "a web page": (b"<!DOCTYPE html><html>", "a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "text": (b"just text\n", "is no WAV file; convert it: ffmpeg -i"),
    "ogg": (b"OggS\0\2" + bytes(60), "Ogg; convert it"),
    "mp3": (b"\xff\xfb\x90\0" + bytes(60), "MP3"),
    "mp3 with tags": (b"ID3\3\0" + bytes(60), "MP3"),
    "m4a": (b"\0\0\0\x1cftypM4A \0\0\0\0", "MP4 or M4A"),
    "sphere": (b"NIST_1A\n   1024\n" + bytes(1100), "NIST SPHERE"),
    "aiff": (b"FORM\0\0\0\x20AIFFCOMM", "AIFF"),
    "au": (b".snd\0\0\0\x18" + bytes(60), "AU"),
    "wave64": (b"riff\x2e\x91\xcf\x11" + bytes(90), "Wave64"),
    "big-endian": (wav(head=b"RIFX"), "RIFX"),
    "webm": (b"\x1aE\xdf\xa3" + bytes(60), "WebM"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(60), "no WAV"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "no WAV"),
    "noise": (random.Random(1).randbytes(4000), "no WAV"),
    "half a header": (wav()[:30], "cut off|no samples"),
    "no data": (wav()[:36], "no samples"),
    "an empty data": (wav(data=b""), "is empty"),
    "an empty data, then chunks": (wav(data=b"", after=chunk(b"LIST", b"INFO" * 30)), "is empty"),
    "cut off": (wav()[:5000], "is cut off, its header promises 5001"),
    "a little more than there is": (wav(length=2 * len(INTEGERS) + 4), "is cut off"),
    "format after data": (b"RIFF\0\1\0\0WAVE" + chunk(b"data", bytes(64)) + form(), "no samples"),
    "8 kHz": (wav(fmt=form(rate=8000)), "has 8000 Hz instead of 16000; convert it: ffmpeg -i .*wav'? -ac 1"),
    "44.1 kHz": (wav(fmt=form(rate=44_100)), "44100 Hz instead of 16000; convert it"),
    "no rate": (wav(fmt=form(rate=0)), "has 0 Hz"),
    "no channels": (wav(fmt=form(channels=0, align=2)), "not read"),
    "no bits": (wav(fmt=form(bits=0, align=2)), "not read"),
    "65535 bits": (wav(fmt=form(bits=65_535, align=2)), "not read"),
    "ADPCM": (wav(fmt=form(2, bits=4, align=256)), "format 2 with 4 bits are not read here; convert it"),
    "GSM": (wav(fmt=form(49, bits=0, align=65)), "format 49"),
    "MP3 in WAV": (wav(fmt=form(85, bits=0, align=1)), "format 85"),
    "float of 16 bits": (wav(fmt=form(3, bits=16)), "format 3 with 16 bits"),
    "an unknown extension": (wav(fmt=extensible(0x1234, 16, 16)), "format 4660"),
    "NaN": (wav(fmt=form(3, bits=32), data=np.full(90, np.nan, "<f4").tobytes()), "no audio"),
    "Inf": (wav(fmt=form(3, bits=32), data=np.full(90, np.inf, "<f4").tobytes()), "no audio"),
    "1e30": (wav(fmt=form(3, bits=64), data=np.full(90, 1e30, "<f8").tobytes()), "no audio"),
    "RF64, cut off": (
        wav(length=0xFFFFFFFF, before=ds64(10**6), head=b"RF64"),
        "is cut off, its header promises 500000",
    ),
    "flac of nothing": (b"fLaC", "FLAC without its header"),
    "flac of zeros": (b"fLaC" + bytes(100), "FLAC without its header"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sound_here_is_refused_by_name(tmp_path, case):
    data, why = REFUSED[case]
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=why) as caught:
        read_wave(str(path))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [flipped, lambda data: data[: len(data) // 2], lambda data: data[:60], lambda data: data[:-9]]
)
def test_damaged_flac_is_refused(tmp_path, change):
    path = tmp_path / "a.flac"
    path.write_bytes(as_flac(tmp_path, change))
    with pytest.raises(AudioError, match=r"a\.flac: is (damaged FLAC|cut off)"):
        read_wave(str(path))


def test_flac_whose_encoder_did_not_know_its_length_is_counted(tmp_path):
    path = encode(tmp_path / "a.flac", "flac", container="flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the total is the last 36 bits of STREAMINFO's 64 from byte 18 on
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert frames_of(str(path)) == len(SPEECH) == len(read_wave(str(path)))


def test_flac_of_another_rate_is_refused(tmp_path):
    path = encode(tmp_path / "my talk.flac", "flac", rate=48_000, container="flac")
    with pytest.raises(
        AudioError, match=r"48000 Hz instead of 16000; convert it: ffmpeg -i '.*my talk\.flac'"
    ):
        frames_of(str(path))


def test_scipys_files_are_read(tmp_path):
    wavfile.write(tmp_path / "a.wav", 16_000, np.stack([INTEGERS, INTEGERS], 1))
    np.testing.assert_allclose(read_wave(str(tmp_path / "a.wav")), INTEGERS / 2**15, atol=1e-6)


def test_suffixes():
    assert [is_sound(name) for name in ("a.WAV", "a.flac", "a.wave", "a.m4a", "a")] == [True] * 3 + [
        False
    ] * 2


FUZZ = """
import random, sys
from pathlib import Path
from projects.voxceleb.audio.waves import AudioError, frames_of, read_wave
files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
draw = random.Random(3)
for turn in range(400):
    data = bytearray(draw.choice(files))
    for _ in range(draw.choice((1, 4, 30))):
        data[draw.randrange(2, draw.choice((60, len(data))))] = draw.randrange(256)
    Path(sys.argv[2]).write_bytes(data[: draw.choice((len(data), draw.randrange(len(data))))])
    try:
        assert len(read_wave(sys.argv[2])) == frames_of(sys.argv[2])
    except AudioError:
        pass
"""


def test_damaged_bytes_neither_crash_the_process_nor_raise_anything_else(tmp_path):
    (tmp_path / "files").mkdir()
    for codec in ("pcm_s16le", "pcm_s24le", "pcm_alaw"):
        encode(tmp_path / "files" / f"{codec}.wav", codec, "stereo")
    encode(tmp_path / "files" / "a.flac", "flac", container="flac")
    line = [sys.executable, "-c", FUZZ, str(tmp_path / "files"), str(tmp_path / "a.wav")]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
