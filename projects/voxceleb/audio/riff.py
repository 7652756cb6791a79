"""Where the samples of a WAV file lie: RIFF and RF64, with the headers that recorders and pipes really write."""

import shlex
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from projects.voxceleb.audio.features import SAMPLE_RATE

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
FORMATS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64), A_LAW: (8,), MU_LAW: (8,)}  # bits a stored sample takes
CONTAINERS = (b"RIFF", b"RF64", b"BW64")  # EBU Tech 3306 and ITU-R BS.2088 have the lengths in a chunk `ds64`
# Programs that stream cannot go back to write a length: they leave 0, or about as much as fits into 31 or 32 bits.
STREAMED = 0x7FFFF000
# What other recordings begin with.
OTHERS = {
    b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"NIST_1A": "NIST SPHERE", b"FORM": "AIFF",
    b".snd": "AU", b"riff": "Wave64", b"RIFX": "big-endian RIFX", b"caff": "CAF", b"#!AMR": "AMR",
    b"\x1aE\xdf\xa3": "WebM",
    b"version https://git-lfs": "a pointer of Git LFS (git lfs pull)", b"<": "a web page",
}  # fmt: skip


class AudioError(Exception):
    """A file that cannot be used as speech; the text names it and says why."""


class Layout(NamedTuple):
    """`frames` of `channels` samples from byte `offset` on, each of `bytes_each` bytes in the format `code`."""

    code: int
    bytes_each: int
    channels: int
    offset: int
    frames: int


def convert(path: str) -> str:
    """The command that makes a file of the one kind that is read fastest."""
    return f"convert it: ffmpeg -i {shlex.quote(path)} -ac 1 -ar {SAMPLE_RATE} OUT.wav"


def refuse_rate(path: str, rate: int) -> None:
    if rate != SAMPLE_RATE:
        raise AudioError(f"{path}: has {rate} Hz instead of {SAMPLE_RATE}; {convert(path)}")


def read_layout(file: BinaryIO, path: str) -> Layout:
    """Walk the chunks of a WAV file to its samples; AudioError names what is wrong."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(32)
    if head[:4] not in CONTAINERS or head[8:12] != b"WAVE":
        raise AudioError(f"{path}: {other_kind(head)}")
    form, long_length = b"", 0
    for name, length in chunks(file):
        if name == b"data" and form:
            length = long_length if long_length and length >= STREAMED else length
            return layout_of(form, file, length, size, path)
        if name == b"fmt ":
            form = file.read(length)
        elif name == b"ds64":
            long_length = int.from_bytes(file.read(24)[8:16], "little")
    raise AudioError(f"{path}: has no samples in it")


def other_kind(head: bytes) -> str:
    if not head:
        return "is empty, no WAV file"
    if not head.strip(b"\0"):
        return "holds zero bytes only, no WAV file: its copy was not finished"
    name = "an MP4 or M4A file" if head[4:8] == b"ftyp" else ""
    name = next((kind for start, kind in OTHERS.items() if head.startswith(start)), name)
    return f"is no WAV file{f', but {name}' if name else ''}; {convert('IN')}"


def chunks(file: BinaryIO, start: int = 12) -> Iterator[tuple[bytes, int]]:
    """Names and lengths, the file standing at each content; some programs forget the byte that evens an odd length."""
    file.seek(start)
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        begin = file.tell()
        yield name, length
        file.seek(begin + length + length % 2)
        if length % 2 and not is_name(file.read(4)):
            file.seek(begin + length)
        else:
            file.seek(begin + length + length % 2)


def is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def layout_of(form: bytes, file: BinaryIO, length: int, size: int, path: str) -> Layout:
    """Check the format chunk against what is read here, and the length against the file."""
    if len(form) < 16:
        raise AudioError(f"{path}: its format is cut off")
    code, channels, rate, _, align, bits = struct.unpack("<HHIIHH", form[:16])
    if code == EXTENSIBLE:  # some leave the extension out, or all zeros
        code = int.from_bytes(form[24:26], "little") or PCM
    even = channels and align and align % channels == 0
    each = align // channels if even and align // channels <= 8 else -(-bits // 8)
    if 8 * each not in FORMATS.get(code, ()) or not channels or not 0 < bits <= 8 * each:
        raise AudioError(
            f"{path}: samples of format {code} with {bits} bits are not read here; {convert(path)}"
        )
    refuse_rate(path, rate)
    offset = file.tell()
    held = (size - offset) // (channels * each)
    streamed = length >= STREAMED and length > size - offset
    streamed |= length == 0 and held > 0 and not ends_in_chunks(file, offset, size)
    promised = held if streamed else length // (channels * each)
    if promised > held:
        raise AudioError(f"{path}: is cut off, its header promises {promised} samples and it holds {held}")
    if not promised:
        raise AudioError(f"{path}: is empty")
    return Layout(code, each, channels, offset, promised)


def ends_in_chunks(file: BinaryIO, offset: int, size: int) -> bool:
    """Whether there are chunks from `offset` to the very end: then a length of 0 is true."""
    return all(is_name(name) and file.tell() + length <= size for name, length in chunks(file, offset))
