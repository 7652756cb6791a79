"""Files that someone might send to harm a reader of images, by name."""

import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image, PngImagePlugin


def encoded(kind: str, size: tuple[int, int] = (120, 40), mode: str = "L", **options) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 1).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    """A PNG with a header of its own and whatever pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A little-endian TIFF whose directory has these entries (tag, type, count, value)."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", following)


def exif_bomb() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 99
    return encoded("JPEG", exif=b"Exif\0\0" + b"\xff" * 5000) + exif.tobytes()


def float_tiff(value: float) -> bytes:
    buffer = io.BytesIO()
    pixels = np.linspace(0, 1, 4800, dtype=np.float32).reshape(40, 120)
    pixels[5:9] = value
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("image.png", bytes(10_000_000))
    return buffer.getvalue()


def animation(kind: str) -> bytes:
    frames = [Image.new("L", (120, 40), shade % 256) for shade in range(300)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=1)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    noise = np.random.default_rng(0).bytes(20_000)
    good = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")}
    text = PngImagePlugin.PngInfo()
    text.add_text("bomb", "0" * 5_000_000, zip=True)
    return {
        **{f"half a {kind}": data[: len(data) // 2] for kind, data in good.items()},
        **{f"the beginning of a {kind}": data[:12] for kind, data in good.items()},
        "nothing": b"",
        "one byte": b"\0",
        "zeros": bytes(100_000),
        "noise": noise,
        "noise behind a PNG signature": good["PNG"][:33] + noise,
        "noise behind a JPEG header": good["JPEG"][:200] + noise,
        "PNG of 60000 x 60000 claimed": png(60_000, 60_000, b""),
        "PNG of 20000 x 20000 delivered": png(20_000, 20_000, bytes(20_001 * 20_000 // 100) * 100),
        "PNG of no width": png(0, 40, b""),
        "PNG of 2^31 columns": png(2**31 - 1, 1, b""),
        "PNG with too few pixels": png(120, 40, b"\0" * 10),
        "PNG with a profile that inflates": png(
            120, 40, bytes(121 * 40), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000), 9))
        ),
        "PNG with a text that inflates": encoded("PNG", pnginfo=text),
        "PNG with a wrong sum": png(120, 40, bytes(121 * 40)).replace(b"IDAT", b"IDAU"),
        "JPEG of 65535 x 65535 claimed": good["JPEG"].replace(
            struct.pack(">HH", 40, 120), b"\xff\xff\xff\xff", 1
        ),
        "GIF of 65535 x 65535 claimed": good["GIF"].replace(struct.pack("<HH", 120, 40), b"\xff\xff\xff\xff"),
        "BMP of 2^31 rows claimed": good["BMP"][:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + bytes(60),
        "BMP upside down without end": good["BMP"][:22] + struct.pack("<i", -(2**31)) + good["BMP"][26:],
        "PPM of 10^9 x 10^9": b"P6 1000000000 1000000000 255 ",
        "PPM of letters": b"P6 ab cd ef ",
        "TIFF that is its own next page": tiff((256, 3, 1, 120), (257, 3, 1, 40), following=8),
        "TIFF of 2^32 values": tiff((256, 4, 2**32 - 1, 2**32 - 1), (257, 4, 2**32 - 1, 2**32 - 1)),
        "TIFF of NaN": float_tiff(float("nan")),
        "TIFF of infinity": float_tiff(float("inf")),
        "GIF of 300 frames": animation("GIF"),
        "WEBP of 300 frames": animation("WEBP"),
        "JPEG with broken EXIF": exif_bomb(),
        "one pixel": encoded("PNG", (1, 1)),
        "one row": encoded("PNG", (9000, 1)),
        "one column": encoded("PNG", (1, 9000)),
        "a line 20000 pixels long": encoded("PNG", (20_000, 20)),
        "an upright line": encoded("PNG", (40, 900)),
        "SVG that fetches": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "PostScript that deletes": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(rm) deletefile\n",
        "PDF": b"%PDF-1.7\n1 0 obj<</OpenAction 2 0 R>>endobj\n",
        "pickle": pickle.dumps(["os", "system"]),
        "zip bomb": zip_bomb(),
        "web page": b"<!doctype html><script>alert(1)</script>",
        "program": b"\x7fELF" + noise[:500],
    }
