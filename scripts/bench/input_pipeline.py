"""Images a second of our training input path against the Pillow path of torchvision's reference scripts."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from shared.data.image_dataset import Files, ImageDataset
from shared.data.images import encode_jpeg
from shared.data.views import TrainView, random_box
from shared.lightning.loader import make_loader
from shared.nets.resnet import MEAN, STD

SCALE, RATIO, BATCH = (0.08, 1.0), (3 / 4, 4 / 3), 50

DESCRIPTION = """
Both paths read the same JPEG files, take a random resized crop, flip half of the crops and collate
batches; one process, no workers, in alternating rounds.
  pillow  decode with Pillow, crop and resize with Pillow, float tensor, normalise
  ours    shared/data: uint8 batches, normalised on the device
Ratios are quoted by CPU time, which other processes disturb least.
"""


def write_photos(folder: Path, count: int, height: int, width: int, quality: int) -> list[str]:
    """Random crops of two photographs, mixed, with sensor-like noise, as JPEG files."""
    rng, paths = np.random.default_rng(0), []
    photos = load_sample_images().images
    for number in range(count):
        layers = [random_crop(photos[rng.integers(2)], height, width, rng) for _ in range(2)]
        share = rng.uniform(0.3, 1)
        mixed = share * layers[0] + (1 - share) * layers[1] + rng.normal(0, 6, (height, width, 1))
        paths.append(f"{folder}/{number:04d}.jpg")
        Path(paths[-1]).write_bytes(encode_jpeg(mixed.clip(0, 255).astype(np.uint8), quality))
    return paths


def random_crop(photo: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    box = random_box(*photo.shape[:2], (0.25, 1.0), RATIO, rng)
    crop = photo[box.top : box.top + box.height, box.left : box.left + box.width]
    return np.asarray(Image.fromarray(crop).resize((width, height)), np.float32)


class PillowPath(torch.utils.data.Dataset):
    """RandomResizedCrop, RandomHorizontalFlip, ToTensor, Normalize, as torchvision computes them."""

    def __init__(self, paths: list[str], size: int) -> None:
        self.paths, self.size = paths, size
        self.rng = np.random.default_rng(0)
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with open(self.paths[index], "rb") as file:  # noqa: PTH123
            image = Image.open(file).convert("RGB")
        box = random_box(image.height, image.width, SCALE, RATIO, self.rng)
        image = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        if self.rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        return tensor.sub_(self.mean).div_(self.std), 0


def pillow_loader(paths: list[str], size: int) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(PillowPath(paths, size), BATCH, shuffle=True)


def our_loader(paths: list[str], size: int) -> torch.utils.data.DataLoader:
    view = TrainView(size, SCALE, RATIO, {"HorizontalFlip": {"p": 0.5}}, seed=0)
    return make_loader(ImageDataset(Files(paths), [0] * len(paths), view, max_corrupt=0), BATCH, train=True)


def measure(loader: torch.utils.data.DataLoader) -> tuple[float, float]:
    """Images a second of one epoch: by CPU time, by wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    images = sum(len(batch["image"] if isinstance(batch, dict) else batch[0]) for batch in loader)
    return images / (time.process_time() - cpu), images / (time.perf_counter() - wall)


def compare(loaders: dict[str, torch.utils.data.DataLoader], rounds: int) -> None:
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    for number in range(rounds + 1):
        for name, loader in loaders.items():
            rate = measure(loader)
            if number:  # the first round warms the caches
                rates[name].append(rate)
    for column, clock in enumerate(("CPU", "wall")):
        pillow, ours = ([rate[column] for rate in rates[name]] for name in ("pillow", "ours"))
        ratio = statistics.median(o / p for o, p in zip(ours, pillow, strict=True))
        print(
            f"by {clock} time: pillow {statistics.median(pillow):6.0f} images/s,"
            f" ours {statistics.median(ours):6.0f} images/s, ratio {ratio:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{DESCRIPTION}",
        epilog="example: python scripts/bench/input_pipeline.py --rounds 9 --quality 95",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=400, help="JPEG files to make (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="timed epochs of each path (default %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=224, help="side of a crop in pixels (default %(default)s)"
    )
    parser.add_argument("--height", type=int, default=375, help="of a JPEG (default %(default)s)")
    parser.add_argument("--width", type=int, default=500, help="of a JPEG (default %(default)s)")
    parser.add_argument("--quality", type=int, default=90, help="of a JPEG (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), options.images, options.height, options.width, options.quality)
        kilobytes = statistics.mean(Path(path).stat().st_size for path in paths) / 1000
        print(f"{len(paths)} JPEGs of {options.width}x{options.height}, {kilobytes:.0f} KB on average")
        compare(
            {"pillow": pillow_loader(paths, options.size), "ours": our_loader(paths, options.size)},
            options.rounds,
        )


if __name__ == "__main__":
    main()
