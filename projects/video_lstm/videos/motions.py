"""The embedded default: 100 classes = 10 digits x 10 motions, as real H.264 and MPEG-4 files.

Each clip goes twice around a ring and so visits every place of it twice, whatever its class: neither one frame nor
the set of all frames tells the motion; only their order does. Scans: E. Alpaydin and C. Kaynak, Optical Recognition
of Handwritten Digits, UCI repository, 1998; nobody's scan is both trained on and validated.
"""

from pathlib import Path

import av
import numpy as np
from numpy.random import Generator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from shared.data.draws import keyed_generator
from shared.data.generated import make_once
from shared.data.images import resize

PIXELS, FRAMES, RATE = 64, 32, 16
TOP, RIGHT, BOTTOM, LEFT = (
    -np.pi / 2,
    0.0,
    np.pi / 2,
    np.pi,
)  # angles on the ring; y points down, so + is clockwise
# Start (None: anywhere) and senses of the two laps.
MOTIONS = {
    "clockwise_right_first": (TOP, 1, 1),
    "clockwise_down_first": (RIGHT, 1, 1),
    "clockwise_left_first": (BOTTOM, 1, 1),
    "clockwise_up_first": (LEFT, 1, 1),
    "counter_left_first": (TOP, -1, -1),
    "counter_up_first": (RIGHT, -1, -1),
    "counter_right_first": (BOTTOM, -1, -1),
    "counter_down_first": (LEFT, -1, -1),
    "clockwise_then_back": (None, 1, -1),
    "counter_then_back": (None, -1, 1),
}
CODECS = {".mp4": ("libx264", {"crf": "20", "preset": "veryfast"}), ".avi": ("mpeg4", {"b": "400k"})}


def write_motions(folder: Path, train: int = 30, val: int = 6, seed: int = 0) -> None:
    """Make `folder`/{train,val}/<digit>_<motion>/<number>.{mp4,avi} once: so many clips of each class."""
    recipe = f"motions, {train} + {val} clips a class, {PIXELS} px, {FRAMES} frames, seed {seed}"
    make_once(folder, lambda fresh: write_splits(fresh, {"train": train, "val": val}, seed), recipe)


def write_splits(folder: Path, clips: dict[str, int], seed: int) -> None:
    digits = load_digits()
    scans = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # 17 grey levels, 8 x 8
    numbers = train_test_split(
        np.arange(len(scans)), test_size=0.2, random_state=seed, stratify=digits.target
    )
    for (split, count), own in zip(clips.items(), numbers, strict=True):
        for digit in range(10):
            for motion in MOTIONS:
                target = folder / split / f"{digit}_{motion}"
                target.mkdir(parents=True)
                draw = keyed_generator(seed, f"{split}/{target.name}")
                for number in range(count):
                    scan = scans[draw.choice(own[digits.target[own] == digit])]
                    suffix = list(CODECS)[number % len(CODECS)]
                    write_video(target / f"{number:03d}{suffix}", render(scan, motion, draw))


def places(motion: str, draw: Generator) -> np.ndarray:
    """Angles (FRAMES,) on the ring: two laps, each through the same FRAMES / 2 places."""
    start, *senses = MOTIONS[motion]
    lap = 2 * np.pi * np.arange(FRAMES // 2) / (FRAMES // 2)
    first = draw.uniform(0, 2 * np.pi) if start is None else start + draw.uniform(-0.3, 0.3)
    return first + np.concatenate([sense * lap for sense in senses])


def render(scan: np.ndarray, motion: str, draw: Generator) -> np.ndarray:
    """Frames uint8 (FRAMES, PIXELS, PIXELS, 3): a coloured digit before a dim, grainy gradient."""
    side = int(draw.integers(20, 27))
    ink = resize(scan, side)[:, :, None] / 255
    colour, corners = draw.uniform(150, 255, 3), draw.uniform(0, 90, (4, 3))
    radius, centre = draw.uniform(15, 18), PIXELS / 2 + draw.uniform(-2, 2, 2)
    angles = places(motion, draw)
    spots = centre[:, None] + radius * np.stack([np.sin(angles), np.cos(angles)]) - side / 2
    spots = np.rint(spots).astype(int).clip(0, PIXELS - side)
    ramp = np.linspace(0, 1, PIXELS)
    across = np.stack([1 - ramp, ramp])
    ground = np.einsum("iy,jx,ijc->yxc", across, across, corners.reshape(2, 2, 3))
    frames = np.tile(ground + draw.normal(0, 6, (PIXELS, PIXELS, 1)), (FRAMES, 1, 1, 1))
    for frame, y, x in zip(frames, *spots, strict=True):
        part = frame[y : y + side, x : x + side]
        part += ink * (colour - part)
    return frames.clip(0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray, gop: int = 250) -> None:
    """Encode uint8 RGB frames (T, H, W, 3) by the codec of the file's suffix."""
    codec, options = CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"threads": "1", "g": str(gop), **options})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
