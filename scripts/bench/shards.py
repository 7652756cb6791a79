"""Shards against a folder of the same files, against the Pillow path, and resumed at a random sample."""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

import torch  # noqa: E402
from input_pipeline import RATIO, SCALE, measure, pillow_loader, write_photos  # noqa: E402

from shared.data.image_dataset import Files, ImageDataset, Source  # noqa: E402
from shared.data.shards.packing import pack  # noqa: E402
from shared.data.shards.reader import Shards  # noqa: E402
from shared.data.shards.writer import Recipe, Sample, read_file  # noqa: E402
from shared.data.views import TrainView  # noqa: E402
from shared.lightning.loader import CheckedLoader, make_loader  # noqa: E402

BATCH = 50
DESCRIPTION = """
Made JPEGs are packed twice: as they are, and with the short side at 256 pixels. Everything runs in this one
process, without workers, in alternating rounds; figures are by processor time, which other processes disturb least.
  packing   images a second of one process
  reading   bytes only; and with decoding, cropping and augmentation, as training does
  pillow    the path of torchvision's reference scripts on the original files, against shards at 256 pixels
  resume    an epoch begun at a random sample must equal the rest of the whole epoch, bit for bit
"""


def packed(paths: list[str], folder: Path, recipe: Recipe) -> tuple[Shards, float]:
    """The shards, and images a second of packing by processor time (of this process and its child)."""
    samples = [Sample(path, Path(path).name, "photo") for path in paths]
    began = time.process_time() + children()
    pack(samples, folder, recipe, read_file, jobs=1)
    return Shards(folder), len(paths) / (time.process_time() + children() - began)


def children() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def loader(source: Source, size: int) -> CheckedLoader:
    view = TrainView(size, SCALE, RATIO, {"HorizontalFlip": {"p": 0.5}}, seed=0)
    return make_loader(ImageDataset(source, [0] * len(source), view, max_corrupt=0), BATCH, train=True)


def reading(source: Source) -> float:
    """Files a second, bytes only, in random order."""
    order = random.Random(0).sample(range(len(source)), len(source))
    began = time.process_time()
    for _ in range(5):
        for number in order:
            source.read(number)
    return 5 * len(source) / (time.process_time() - began)


def compare(what: str, turns: dict, rounds: int, target: float) -> None:
    """Median rate of each turn (a function), and of the last's ratio to the first's, after a round to warm up."""
    rates = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            rate = turn()
            if number:
                rates[name].append(rate)
    first, *_, last = rates.values()
    ratios = sorted(b / a for a, b in zip(first, last, strict=True))
    said = ", ".join(f"{name} {statistics.median(values):,.0f}/s" for name, values in rates.items())
    print(
        f"{what:10s} {said}: ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}; {rounds} rounds; target {target})"
    )


def resume(shards: Shards, size: int, rounds: int) -> None:
    whole = list(loader(shards, size))
    for turn in range(rounds):
        batch = random.Random(turn).randrange(1, len(whole))
        again = loader(shards, size)
        again.sampler.resume_at(0, position=batch * BATCH)
        rest = list(again)
        same = len(rest) == len(whole) - batch and all(
            torch.equal(a[key], b[key]) for a, b in zip(rest, whole[batch:], strict=True) for key in a
        )
        print(
            f"resume     at sample {batch * BATCH} of {len(shards)}: {'the same, bit for bit' if same else 'DIFFERS'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{DESCRIPTION}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=400, help="JPEG files to make (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default %(default)s)")
    parser.add_argument(
        "--size", type=int, default=224, help="side of a crop in pixels (default %(default)s)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "files").mkdir()
        paths = write_photos(Path(folder) / "files", options.images, 375, 500, 90)
        raw, raw_rate = packed(paths, Path(folder) / "raw", Recipe("image", per_shard=100))
        small, small_rate = packed(paths, Path(folder) / "256", Recipe("image", 256, 90, per_shard=100))
        kilobytes = [sum(shard["bytes"] for shard in s.about["shards"]) / len(s) / 1e3 for s in (raw, small)]
        print(
            f"{len(paths)} JPEGs of 500x375; KB in shards {kilobytes[0]:.1f}, with short side 256 {kilobytes[1]:.1f}"
        )
        print(f"packing    as they are {raw_rate:,.0f} images/s, short side 256 {small_rate:,.0f} images/s")
        files, size = Files(paths), options.size
        compare(
            "bytes", {"files": lambda: reading(files), "shards": lambda: reading(raw)}, options.rounds, 0.95
        )
        turns = {"files": loader(files, size), "shards": loader(raw, size)}
        compare(
            "reading",
            {n: lambda made=made: measure(made)[0] for n, made in turns.items()},
            options.rounds,
            0.95,
        )
        turns = {"pillow": pillow_loader(paths, size), "shards at 256": loader(small, size)}
        compare(
            "pillow", {n: lambda made=made: measure(made)[0] for n, made in turns.items()}, options.rounds, 4
        )
        resume(small, size, rounds=3)


if __name__ == "__main__":
    main()
