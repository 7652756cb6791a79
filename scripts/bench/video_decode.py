"""Reading 16 of 250 frames: our reader against decoding everything, and the second epoch against the first.

Files of 320 x 240: H.264 with a key frame every 250 frames and every 12, and MPEG-4 in AVI. Targets, by CPU time: 2.5
times less on the long GOP; a clip from the cache 10 times faster than a decoded one.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import av
import numpy as np
from sklearn.datasets import load_sample_images

from projects.video_lstm.videos.cache import ClipCache
from projects.video_lstm.videos.decode import opened, read_clip, scan, spread

FRAMES, WANTED = 250, 16


def write_films(folder: Path) -> dict[str, Path]:
    """A camera wandering over a photograph, in three encodings."""
    photo = load_sample_images().images[0]
    frames = []
    for number in range(FRAMES):
        y, x = int(90 + 85 * np.sin(number / 20)), int(160 + 150 * np.cos(number / 33))
        frames.append(photo[y : y + 240, x : x + 320])
    kinds = {
        "H.264, GOP 250": ("long.mp4", "libx264", 250),
        "H.264, GOP 12": ("short.mp4", "libx264", 12),
        "MPEG-4, GOP 12": ("film.avi", "mpeg4", 12),
    }
    return {kind: encode(folder / name, frames, codec, gop) for kind, (name, codec, gop) in kinds.items()}


def encode(path: Path, frames: list[np.ndarray], codec: str, gop: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": str(gop), "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 240, 320, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def decode_everything(path: str) -> np.ndarray:
    """The plain way: all frames as arrays, then a choice."""
    with opened(path) as (container, stream):
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    return np.stack([every[number] for number in spread(np.arange(len(every)), WANTED)])


def compare(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of each way, in turns; the first round warms the caches."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if number:
                spent[name].append(1000 * (time.process_time() - began))
    return spent


def ratio(spent: dict[str, list[float]], slow: str, fast: str) -> str:
    times = {name: statistics.median(values) for name, values in spent.items()}
    found = statistics.median(a / b for a, b in zip(spent[slow], spent[fast], strict=True))
    return f"{slow} {times[slow]:.1f} ms, {fast} {times[fast]:.1f} ms, ratio {found:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="timed readings (default %(default)s)")
    parser.add_argument(
        "--size", type=int, default=128, help="pixels of a cached frame (default %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in write_films(Path(folder)).items():
            name, index = str(path), scan(str(path))
            cache = ClipCache(f"{folder}/cache", 1)
            cache.open(Path(folder), WANTED, options.size)
            spent = compare(
                {
                    "everything": lambda name=name: decode_everything(name),
                    "ours": lambda name=name: read_clip(name, WANTED, options.size),
                    "cached": lambda name=name, cache=cache: cache.read(name, 0),
                },
                options.rounds,
            )
            print(
                f"{kind} ({path.stat().st_size / 1e6:.1f} MB, {len(index.keys)} key frames), CPU time of a clip:"
            )
            print(f"  {ratio(spent, 'everything', 'ours')}")
            print(f"  {ratio(spent, 'ours', 'cached')} (epoch 1 / epoch 2)")


if __name__ == "__main__":
    main()
