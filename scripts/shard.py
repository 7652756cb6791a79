"""Pack a data set into tar shards with an index, or verify packed ones."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.data.shards.writer import read_file
from shared.runs.cli import main

DESCRIPTION = """
KIND is image (<split>/<class>/*.jpg and ImageNet's other layouts), audio (<split>/<speaker>/**.wav or .flac) or
ocr (label files and LMDBs as data=khmer_ocr_folder reads them). Each split becomes OUT/<split> with
shard-000000.tar ... in WebDataset's layout, index.npz and shards.json. Run it again after a stop: it goes on.

  python scripts/shard.py pack image /data/imagenet /data/imagenet-256 --short-side 256 --quality 90 --plan
  python scripts/shard.py pack image /data/imagenet /data/imagenet-256 --short-side 256 --quality 90
  python scripts/shard.py verify /data/imagenet-256
  python projects/imagenet_resnet/train.py data=imagenet_shards data.root=/data/imagenet-256
"""
SEED = 42  # that of conf/base.yaml: class folders without train/ and val/ are split as a run would split them
TRIED = 64  # files packed for a plan
OVERHEAD = 1792  # bytes a sample: two headers, the label, and what fills the last block


def image_splits(root: Path) -> tuple[dict, Callable[[str], bytes]]:
    from projects.imagenet_resnet.layouts import scan_folders

    folders = scan_folders(root, SEED)
    for remark in folders.remarks:
        print(f"note: {remark}")
    found = {"train": folders.train, "val": folders.val}
    rows = {
        name: [(path, split.classes[n]) for path, n in zip(split.paths, split.labels, strict=True)]
        for name, split in found.items()
    }
    return rows, read_file


def audio_splits(root: Path) -> tuple[dict, Callable[[str], bytes]]:
    from projects.voxceleb.data import scan
    from shared.data.folder import class_folders, in_words

    rows = {}
    for name in class_folders(root):
        left_out: Counter[str] = Counter()
        rows[name] = scan(root / name, left_out)
        if left_out:
            print(f"note: left out of {name}/: {in_words(left_out)}")
    for name in [name for name, found in rows.items() if not found]:
        print(f"note: no speakers in {name}/, which is left out")
    return {name: found for name, found in rows.items() if found}, read_file


def ocr_splits(root: Path) -> tuple[dict, Callable[[str], bytes]]:
    from shared.ocr.lines.tables import find_table, image_bytes, read_table

    tables = {split: find_table(root, split) for split in ("all", "train", "val")}
    return {split: read_table(table) for split, table in tables.items() if table}, image_bytes


SPLITS = {"image": image_splits, "audio": audio_splits, "ocr": ocr_splits}


def pack(args: argparse.Namespace) -> int:
    from shared.data.shards.packing import pack
    from shared.data.shards.writer import Recipe, Sample
    from shared.errors import UserError
    from shared.record.preflight import size

    if args.kind == "audio" and (args.short_side or args.quality):
        raise UserError("sound has no size in pixels", "--short-side, --quality", "leave them out")
    if not args.root.is_dir():
        raise UserError("no such folder", str(args.root), "give the folder of the data set")
    recipe = Recipe(args.kind, args.short_side, args.quality, args.per_shard)
    splits, read = SPLITS[args.kind](args.root)
    if not splits:
        raise UserError("no data of this kind", str(args.root), "see --help for the layouts")
    for split, rows in splits.items():
        samples = [Sample(path, os.path.relpath(path, args.root), label) for path, label in rows]
        if args.plan:
            print_plan(split, samples, recipe, read, args.jobs)
            continue
        began = time.monotonic()
        about = pack(samples, args.out / split, recipe, read, args.jobs, args.max_corrupt, Line(split))
        written, seconds = sum(shard["bytes"] for shard in about["shards"]), time.monotonic() - began
        print(
            f"{split}: {about['samples']:,} samples, {size(written)}, {seconds:.0f} s -> {args.out / split}"
        )
        for _, reason in about["left_out"]:
            print(f"{split}: left out {reason}")
        for remark in about.get("odd", []):
            print(f"{split}: odd: {remark}")
        if about["left_out"] or about.get("odd"):
            print(f"{split}: {len(about['left_out'])} left out, {len(about.get('odd', []))} odd")
    return 0


class Line:
    """Says how many shards are whole."""

    def __init__(self, split: str) -> None:
        self.split = split

    def __call__(self, done: int, planned: int) -> None:
        print(f"{self.split}: {done} of {planned} shards", file=sys.stderr)


def print_plan(split: str, samples: list, recipe, read: Callable[[str], bytes], jobs: int) -> None:
    """Time and bytes by packing a few files; what a remote split will cost in requests."""
    from shared.data.draws import keyed_generator
    from shared.errors import ImageError
    from shared.record.preflight import size

    tried = keyed_generator(0, "plan").permutation(len(samples))[:TRIED]
    stored, began = [], time.process_time()
    for number in tried:
        try:
            stored.append(len(recipe.apply(read(samples[number].source), samples[number].name)))
        except (ImageError, OSError) as error:
            print(f"{split}: cannot be read: {error}")
    if not stored:
        return
    seconds = (time.process_time() - began) / len(stored) * len(samples)
    mean = sum(stored) / len(stored)
    total, shards = len(samples) * (mean + OVERHEAD), -(-len(samples) // recipe.per_shard)
    index = sum(24 + 8 + len(sample.name.encode("utf-8", "surrogateescape")) for sample in samples)
    print(
        f"{split}: {len(samples):,} samples, {size(mean)} each, in {shards:,} shards of {size(total / shards)}, "
        f"{size(total)} in all\n"
        f"  packing  {seconds / 3600:.2f} hours of processor time, {seconds / jobs / 60:,.1f} minutes with {jobs} "
        "jobs, if the disk keeps up\n"
        f"  reading  index {size(index)} in memory, once for all workers; from a URL {shards:,} requests if the "
        f"cache holds it all, {len(samples):,} an epoch without one"
    )


def verify(args: argparse.Namespace) -> int:
    from shared.data.shards.index import ABOUT
    from shared.data.shards.packing import verify
    from shared.errors import UserError

    splits = sorted(path.parent for path in [*args.out.glob(ABOUT), *args.out.glob(f"*/{ABOUT}")])
    if not splits:
        raise UserError("no finished shards", str(args.out), "pack them first")
    problems = [problem for split in splits for problem in verify(split)]
    for problem in problems:
        print(problem)
    print(f"{len(splits)} splits, {len(problems)} problems")
    return 1 if problems else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = made.add_subparsers(required=True, metavar="pack | verify")
    one = commands.add_parser("pack", help="write shards", epilog=DESCRIPTION)
    one.formatter_class = argparse.RawDescriptionHelpFormatter
    one.set_defaults(work=pack)
    one.add_argument("kind", choices=sorted(SPLITS))
    one.add_argument("root", type=local, help="the data set")
    one.add_argument("out", type=local, help="where the shards go")
    one.add_argument(
        "--short-side", type=positive, metavar="PIXELS", help="shrink images, such as to 256, 400, 500"
    )
    one.add_argument("--quality", type=quality, metavar="1-100", help="of JPEGs (default: each file's own)")
    one.add_argument(
        "--per-shard", type=positive, default=10_000, metavar="N", help="samples (default %(default)s)"
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    one.add_argument(
        "--jobs", type=positive, default=cores, metavar="N", help="processes (default: all cores)"
    )
    one.add_argument(
        "--max-corrupt", type=int, default=10, metavar="N", help="unreadable files (default %(default)s)"
    )
    one.add_argument("--plan", action="store_true", help=f"only say what it takes, from {TRIED} files")
    two = commands.add_parser("verify", help="compare every checksum")
    two.set_defaults(work=verify)
    two.add_argument("out", type=local, help="a packed split, or the folder of several")
    return made


def local(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text} is a URL: pack on this machine, then copy")
    return Path(text).expanduser()


def positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def quality(text: str) -> int:
    if not 1 <= (value := int(text)) <= 100:
        raise argparse.ArgumentTypeError("must be from 1 to 100")
    return value


if __name__ == "__main__":
    main(parser(), lambda args: args.work(args))
