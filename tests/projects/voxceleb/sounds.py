"""Sound files for the tests: encoded by FFmpeg, and WAV files whose headers say what one likes."""

import struct

import av
import numpy as np

SPEECH = np.random.default_rng(0).normal(0, 0.1, 5001)
INTEGERS = np.rint(SPEECH * 2**15).astype("<i2")


def encode(path, codec, layout="mono", rate=16_000, container="wav", **options):
    channels = 2 if layout == "stereo" else 1
    samples = np.stack([SPEECH, SPEECH[::-1]], 1)[:, :channels].astype("<f4")
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.rate = rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format or "flt", layout=layout, rate=rate, frame_size=1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(part):
                file.mux(packet)
    return path


def form(code=1, channels=1, rate=16_000, bits=16, align=None, more=b""):
    align = channels * bits // 8 if align is None else align
    body = struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits) + more
    return b"fmt " + struct.pack("<I", len(body)) + body


def extensible(code, bits, valid):
    guid = struct.pack("<H", code) + bytes.fromhex("000000001000800000aa00389b71")
    return form(0xFFFE, bits=bits, more=struct.pack("<HHI", 22, valid, 4) + guid)


def wav(fmt=None, data=None, length=None, before=b"", after=b"", head=b"RIFF", total=None):
    data = INTEGERS.tobytes() if data is None else data
    data_chunk = b"data" + struct.pack("<I", len(data) if length is None else length) + data
    body = b"WAVE" + before + (form() if fmt is None else fmt) + data_chunk + after
    return head + struct.pack("<I", len(body) if total is None else total) + body


def chunk(name, content, pad=True):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (pad and len(content) % 2)


def ds64(length):
    return chunk(b"ds64", struct.pack("<QQQI", length + 80, length, length // 2, 0))
