"""Files that are no images here, each with what is said of it."""

import random
import struct
import zlib

import pytest

from shared.data.decoding import decode
from shared.errors import ImageError


def png_claiming(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bmp_claiming(width, height):
    head = struct.pack("<2sIHHI", b"BM", 1000, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)


def gif_claiming(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3) + b"," + bytes(20)


NAMED = {
    "zero bytes": (b"", "empty file"),
    "zeros": (bytes(5000), "nothing but zero bytes"),
    "html": (b"\n\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
    "html with a mark": (b"\xef\xbb\xbf<html>", "a web page"),
    "error in xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='x'/>", "SVG"),
    "text": (b"Not Found\n", "text, not an image"),
    "json": (b'{"error": "quota exceeded"}', "text, not an image"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
    "zip": (b"PK\x03\x04" + bytes(100), "a ZIP archive; unpack it"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "a gzip archive"),
    "tar": (bytes(257) + b"ustar\x0000" + bytes(300), "a tar archive"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC; convert it: heif-convert"),
    "heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC; convert it"),
    "movie": (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "a video"),
    "quicktime": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "an AVI video"),
    "wav": (b"RIFF\x10\0\0\0WAVEfmt ", "sound"),
    "matroska": (b"\x1a\x45\xdf\xa3" + bytes(40), "a Matroska video"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000; convert it"),
    "jpeg 2000 codestream": (b"\xff\x4f\xff\x51" + bytes(50), "JPEG 2000"),
    "jpeg xl": (b"\xff\x0a" + bytes(50), "JPEG XL"),
    "jpeg xl box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL"),
    "photoshop": (b"8BPS\0\1" + bytes(50), "a Photoshop document"),
    "canon raw": (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "a camera's raw file"),
    "canon raw 3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera's raw file"),
    "cursor": (b"\0\0\2\0\1\0" + bytes(50), "a cursor"),
    "dds": (b"DDS " + bytes(100), "DDS"),
    "exr": (b"v/1\x01" + bytes(100), "OpenEXR"),
    "hdr": (b"#?RADIANCE\n", "Radiance HDR"),
    "numpy": (b"\x93NUMPY\1\0", "a NumPy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
    "apple double": (b"\0\5\x16\7\0\2\0\0Mac OS X", "what macOS keeps"),
    "noise": (random.Random(0).randbytes(3000), "neither an image"),
    "huge png": (png_claiming(2**17, 2**17), "pixels"),
    "huge bmp": (bmp_claiming(60_000, 60_000), "pixels"),
    "huge gif": (gif_claiming(65_535, 65_535), "pixels"),
    "png of no data": (png_claiming(2000, 2000), "cut short"),
    "tiff of nothing": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "TIFF that cannot be read"),
    "gif of nothing": (b"GIF89a\1\0\1\0\0\0\0", "GIF"),
    "webp of nothing": (b"RIFF\x20\0\0\0WEBPVP8 " + bytes(40), "WebP that cannot be read"),
    "avif of nothing": (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B" + bytes(40), "AVIF that cannot be read"),
    "bmp of nothing": (bmp_claiming(100, 100), "BMP|cut short"),
    "icon of nothing": (b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0", "ICO that cannot be read|cut short"),
    "pgm of letters": (b"P2\n2 2\n255\na b c d\n", "PNM that cannot be read"),
    "pgm cut": (b"P5\n20 20\n255\nab", "cut short|PNM"),
    "jpeg of a header": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", "JPEG that cannot be read|cut short"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("case", NAMED)
def test_what_is_no_image_is_named_for_what_it_is(case, suffix):
    data, why = NAMED[case]
    name = f"a/{case}{suffix}"
    with pytest.raises(ImageError, match=why) as caught:
        decode(data, name)
    assert str(caught.value).startswith(f"{name}: ") and "\n" not in str(caught.value)
