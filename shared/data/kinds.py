"""What a file is by its first bytes, and which decoder may see it: suffixes lie, and some decoders crash on content
that was meant for others.
"""

from typing import NamedTuple

HEAD = 1100  # bytes that tell every kind: the longest signature, tar's, lies at 257; web pages may begin with blanks
CONVERT = "convert it: magick IN OUT.png"


class Kind(NamedTuple):
    """`name` as a person says it; `decoder` as Pillow calls it, None for what is not read; `mend` says what to do."""

    name: str
    decoder: str | None = None
    mend: str = CONVERT


UNKNOWN = Kind("neither an image nor any other known kind of file", mend="get it again, or delete it")
ZEROS = Kind("nothing but zero bytes", mend="its download or copy was not finished: get it again")
TGA = Kind("TGA", "TGA")
WEB_PAGE = Kind("a web page, not an image", mend="the download was refused: get it again")
PHONE = "convert it: heif-convert IN OUT.jpg, or let the phone save JPEG"

# Read ones first; the order matters where one signature begins with another.
SIGNATURES: list[tuple[bytes, Kind]] = [
    (b"\xff\xd8\xff", Kind("JPEG", "JPEG")),
    (b"\x89PNG\r\n\x1a\n", Kind("PNG", "PNG")),
    (b"GIF87a", Kind("GIF", "GIF")),
    (b"GIF89a", Kind("GIF", "GIF")),
    (b"II*\0\x10\0\0\0CR", Kind("a camera's raw file")),
    (b"II*\0", Kind("TIFF", "TIFF")),
    (b"MM\0*", Kind("TIFF", "TIFF")),
    (b"II+\0", Kind("BigTIFF", "TIFF")),
    (b"MM\0+", Kind("BigTIFF", "TIFF")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind("JPEG 2000")),
    (b"\xff\x4f\xff\x51", Kind("JPEG 2000")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind("JPEG XL")),
    (b"\xff\x0a", Kind("JPEG XL")),
    (b"8BPS", Kind("a Photoshop document")),
    (b"IIRO", Kind("a camera's raw file")),
    (b"FUJIFILMCCD-RAW", Kind("a camera's raw file")),
    (b"DDS ", Kind("DDS")),
    (b"qoif", Kind("QOI")),
    (b"\x0a\x05\x01", Kind("PCX")),
    (b"\x01\xda", Kind("SGI")),
    (b"v/1\x01", Kind("OpenEXR")),
    (b"#?RADIANCE", Kind("Radiance HDR")),
    (b"SIMPLE  =", Kind("FITS")),
    (b"icns", Kind("an Apple icon")),
    (b"\x59\xa6\x6a\x95", Kind("a Sun raster")),
    (b"%!PS", Kind("PostScript")),
    (b"%PDF", Kind("PDF")),
    (b"\x89HDF\r\n\x1a\n", Kind("HDF5", mend="write its images as files")),
    (b"\x93NUMPY", Kind("a NumPy array", mend="write its images as files")),
    (b"PK\x03\x04", Kind("a ZIP archive", mend="unpack it")),
    (b"\x1f\x8b", Kind("a gzip archive", mend="unpack it")),
    (b"\xfd7zXZ\0", Kind("an xz archive", mend="unpack it")),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", mend="unpack it")),
    (b"Rar!", Kind("a RAR archive", mend="unpack it")),
    (b"\x1a\x45\xdf\xa3", Kind("a Matroska video", mend="write its frames as images")),
    (b"version https://git-lfs", Kind("a pointer of Git LFS", mend="run git lfs pull")),
    (b"\0\x05\x16\x07", Kind("what macOS keeps beside a file", mend="delete it")),
]
# The major brand of an ISO media file, bytes 8 to 12.
BRANDS: dict[bytes, Kind] = {
    **dict.fromkeys((b"avif", b"avis"), Kind("AVIF", "AVIF")),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), Kind("HEIC", mend=PHONE)),
    **dict.fromkeys((b"mif1", b"msf1"), Kind("HEIF", mend=PHONE)),
    b"crx ": Kind("a camera's raw file"),
}
RIFF: dict[bytes, Kind] = {
    b"WEBP": Kind("WebP", "WEBP"),
    b"AVI ": Kind("an AVI video", mend="write its frames as images"),
    b"WAVE": Kind("sound", mend="delete it"),
}
ICONS = {b"\0\0\1\0": Kind("ICO", "ICO"), b"\0\0\2\0": Kind("a cursor")}
BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes, by version


def kind_of(data: bytes, name: str = "") -> Kind:
    """The kind of a file's content; only TGA, which has no signature, also needs the suffix of `name`."""
    head = data[:HEAD]
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[4:8] == b"ftyp":
        return iso_media(head)
    if head[:4] == b"RIFF" and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if head[:4] in ICONS and head[4:6] != b"\0\0":  # how many there are; a TGA has zeros here
        return ICONS[head[:4]]
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS:
        return Kind("BMP", "BMP")
    if head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3] in b" \t\r\n#":
        return Kind("PNM", "PPM")
    if data[-18:-2] == b"TRUEVISION-XFILE" or (name.lower().endswith(".tga") and like_tga(head)):
        return TGA
    return Kind("a tar archive", mend="unpack it") if head[257:262] == b"ustar" else by_text(data, head)


def iso_media(head: bytes) -> Kind:
    """By the major brand, else by the compatible ones that follow it: `mif1` may hold AVIF or HEVC."""
    length = min(max(16, int.from_bytes(head[:4], "big")), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]
    found = [BRANDS[brand] for brand in brands if brand in BRANDS]
    named = next((kind for kind in found if kind.name != "HEIF"), found[0] if found else None)
    return named or Kind("a video", mend="write its frames as images")


def like_tga(head: bytes) -> bool:
    """Whether the header is one that a TGA may have: colour map, coding, depth."""
    return (
        len(head) > 18
        and head[1] in (0, 1)
        and head[2] in (1, 2, 3, 9, 10, 11)
        and head[16] in (1, 8, 16, 24, 32)
    )


def by_text(data: bytes, head: bytes) -> Kind:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<script")) or b"<html" in text:
        return WEB_PAGE
    if b"<svg" in text:
        return Kind("SVG, a drawing without pixels")
    if text.startswith(b"<?xml"):
        return Kind("XML, such as the error of a web server", mend=WEB_PAGE.mend)
    if not data.strip(b"\0"):
        return ZEROS
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head[:256]):
        return Kind("text, not an image", mend="get it again, or delete it")
    return UNKNOWN
