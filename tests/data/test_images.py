"""Decoding agrees with Pillow, whatever the file; augmentation is drawn per sample."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from shared.data.draws import keyed_generator
from shared.data.images import Augment, Box, ImageError, decode, encode_jpeg, read_crop
from shared.errors import UserError


def psnr(first, second):
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


def by_pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(
    "mode, kind, options, least_db",
    [
        ("RGB", "JPEG", {"quality": 95, "subsampling": 0}, 40),
        ("RGB", "JPEG", {"quality": 90}, 30),  # 4:2:0: nearest chroma instead of smoothed
        ("RGB", "JPEG", {"quality": 90, "progressive": True}, 30),
        ("L", "JPEG", {"quality": 90}, 40),
        ("CMYK", "JPEG", {"quality": 90}, 35),
        ("RGB", "PNG", {}, np.inf),
        ("RGBA", "PNG", {}, np.inf),
        ("L", "PNG", {}, np.inf),
        ("P", "PNG", {}, np.inf),
        ("RGB", "WEBP", {"lossless": True}, np.inf),
        ("RGB", "BMP", {}, np.inf),
        ("RGB", "TIFF", {}, np.inf),
    ],
)
def test_decodes_like_pillow(encoded, mode, kind, options, least_db):
    data = encoded(mode, kind, **options)
    image = decode(data, "x.jpg")
    assert image.dtype == np.uint8 and image.shape == (427, 640, 3)
    assert psnr(image, by_pillow(data)) >= least_db


def test_exif_orientation_is_ignored(encoded):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    assert decode(encoded(exif=exif), "x.jpg").shape == (427, 640, 3)
    assert decode(encoded(kind="PNG", exif=exif), "x.png").shape == (427, 640, 3)


@pytest.mark.parametrize("damage", ["empty", "text", "half", "tail", "header", "png"])
def test_unreadable_files_are_named(encoded, damage):
    jpeg = encoded()
    data = {
        "empty": b"",
        "text": b"no image at all" * 20,
        "half": jpeg[: len(jpeg) // 2],
        "tail": jpeg[:-2],
        "header": jpeg[:100],
        "png": encoded(kind="PNG")[:5000],
    }[damage]
    with pytest.raises(ImageError, match="a/broken\\.jpg"):
        decode(data, "a/broken.jpg")


def test_foreign_bytes_inside_a_jpeg_are_skipped_as_pillow_does(encoded):
    data = encoded(quality=90)
    scan = data.index(b"\xff\xda")
    odd = data[:scan] + b"\x00\x01\x02" + data[scan:]
    assert psnr(decode(odd, "x.jpg"), by_pillow(odd)) > 40
    assert psnr(decode(data + b"trailing", "x.jpg"), by_pillow(data)) > 30


def test_a_header_that_claims_a_huge_image_is_refused(encoded):
    data = bytearray(encoded(image=np.zeros((16, 16, 3), np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"  # 65500 x 65500
    with pytest.raises(ImageError, match=r"bomb\.jpg: 65500 x 65500 pixels"):
        decode(bytes(data), "bomb.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    "box, size",
    [
        (Box(0, 0, 427, 640), 224),  # decoded in full
        (Box(10, 20, 400, 500), 100),  # a JPEG at a quarter
        (Box(0, 0, 427, 640), 40),  # at an eighth
        (Box(100, 300, 50, 40), 64),  # enlarged
        (Box(426, 639, 1, 1), 8),
    ],
)
def test_crops_are_as_good_as_pillows(encoded, kind, box, size):
    data = encoded(kind=kind)
    crop = read_crop(data, "x", lambda h, w: box, size)
    edges = (box.left, box.top, box.left + box.width, box.top + box.height)
    reference = Image.fromarray(by_pillow(data)).resize((size, size), Image.Resampling.BILINEAR, edges)
    assert crop.shape == (size, size, 3)
    assert psnr(crop, np.asarray(reference)) > 22


def test_large_regions_do_not_alias(encoded):
    """Stripes finer than the output can show must vanish, not fold into coarser ones."""
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 255
    for kind in ("PNG", "JPEG"):
        data = encoded(kind=kind, image=stripes)
        crop = read_crop(data, "x", lambda h, w: Box(0, 0, h, w), 200)
        assert crop.std() < 20  # bilinear alone leaves more than 60
        assert abs(crop.mean() - 127.5) < 3


def test_the_box_is_chosen_from_the_full_size(encoded):
    seen = []
    for data in (encoded(), encoded(kind="PNG")):
        read_crop(data, "x", lambda h, w: seen.append((h, w)) or Box(0, 0, h, w), 32)
    assert seen == [(427, 640), (427, 640)]


def test_augment_is_decided_by_the_generator_alone(photo):
    options = {"HorizontalFlip": {"p": 0.5}, "ColorJitter": {"p": 1.0}}
    first, second = Augment(options), Augment(options)
    image = photo[:64, :64]
    variants = {index: first(image, keyed_generator(1, "augment", 0, index)) for index in range(20)}
    assert len({variant.tobytes() for variant in variants.values()}) == 20
    for index in reversed(variants):
        assert np.array_equal(second(image, keyed_generator(1, "augment", 0, index)), variants[index])


@pytest.mark.parametrize(
    "name, options",
    [("Fliporama", {}), ("Compose", {}), ("Blur", {"strength": 3}), ("Blur", {"blur_limit": "x"})],
)
def test_augment_names_the_wrong_key(name, options):
    with pytest.raises(UserError) as caught:
        Augment({name: options})
    assert caught.value.where == f"data.augment.{name}"


def test_encode_jpeg_round_trip(photo):
    assert psnr(decode(encode_jpeg(photo), "x.jpg"), photo) > 28
    grey = photo[:, :, :1]
    assert psnr(decode(encode_jpeg(grey), "x.jpg"), np.repeat(grey, 3, axis=2)) > 33


def test_import_asks_no_network():
    code = (
        "import socket, urllib.request as r\n"
        "def refuse(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = r.urlopen = refuse\n"
        "import shared.data.images"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    )
