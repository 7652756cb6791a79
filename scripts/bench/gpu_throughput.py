"""Training samples a second on a GPU: our whole step against a bare loop, memory, and share of the card's ceiling."""

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

import hydra  # noqa: E402
import lightning  # noqa: E402
import torch  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from input_pipeline import write_photos  # noqa: E402
from omegaconf import DictConfig  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import shared.config.root  # noqa: E402, F401 (registers the resolvers)
from shared.lightning.assembly import assemble, build, build_loaders  # noqa: E402
from shared.lightning.hardware import optimizer_arguments, prepare_model  # noqa: E402
from shared.lightning.task import Task, parameter_groups  # noqa: E402
from shared.processes.interruption import Interruption  # noqa: E402
from shared.record.folder import RunFolder  # noqa: E402

DESCRIPTION = """
All of a project is as its config has it, on the profile that --hardware names. Per project:
  resident  one real batch that stays on the device, through Lightning, callbacks, guard and logging
  bare      the same batch, precision, memory format and optimizer in a plain loop; for imagenet_resnet on timm's
            resnet50 where timm can be imported, else, and for the other projects, on our own network
  loading   imagenet_resnet from JPEGs, decoded and augmented by the profile's workers (made photographs of
            500x375 in the page cache; --root for a real set, in folders or shards)
The ceiling is what a bf16 product of two large matrices reaches on this card, in this run.

  python scripts/bench/gpu_throughput.py --hardware auto
  python scripts/bench/gpu_throughput.py --tiny              any machine, seconds: does it run?
"""
PROJECTS: dict[str, list[str]] = {
    "imagenet_resnet": ["data=imagenet", "optimizer=sgd", "effective_batch_size=256"],
    "khmer_ocr": ["model=khmer_ocr_base", "effective_batch_size=96"],
    "voxceleb": ["model=voxceleb_resnetse34v2", "effective_batch_size=32"],
    "video_lstm": ["model=video_lstm_33m"],
}
TINY = {
    "imagenet_resnet": ["model.depth=18", "data.train_size=32", "data.val_size=32", "effective_batch_size=4"],
    "khmer_ocr": ["model=khmer_ocr_tiny", "data.count=16", "data.val_count=4", "effective_batch_size=4"],
    "voxceleb": ["model=voxceleb_resnetse34v2_narrow", "effective_batch_size=4"],
    "video_lstm": ["model=video_lstm_small", "effective_batch_size=4"],
}
CLASSES, PHOTOS = 1000, 200


class Stopwatch(lightning.Callback):
    """Seconds of each epoch's steps, the device's work included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.began = now()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.seconds.append(now() - self.began)


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def assembled(project: str, overrides: list[str]):
    """The config and the parts of a run in a folder of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"),
    ):
        words = [*overrides, f"run_dir={folder}", "logger=csv", "callbacks.checkpoints=null", "resume=never"]
        words.append("trainer.enable_checkpointing=false")
        cfg = hydra.compose(project, overrides=words, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        yield cfg, assemble(cfg, RunFolder(folder), Interruption())


def ours(project: str, overrides: list[str], rounds: int, resident: bool) -> dict[str, float]:
    """Samples a second through `Trainer.fit`: the median epoch after one to warm up."""
    watch = Stopwatch()
    steps = next(word.split("=")[1] for word in overrides if word.startswith("trainer.limit_train_batches"))
    with assembled(project, [*overrides, f"trainer.max_epochs={rounds + 1}"]) as (cfg, parts):
        loader = loader_of(cfg, parts)
        if resident:
            batch = parts.trainer.strategy.batch_to_device(
                next(iter(loader)), parts.trainer.strategy.root_device
            )
            loader = DataLoader([batch] * int(steps), batch_size=None)
        parts.trainer.callbacks.append(watch)
        reset_memory()
        parts.trainer.fit(parts.task, loader)
    rate = int(steps) * cfg.effective_batch_size / statistics.median(watch.seconds[1:])
    return {"rate": rate, "memory": memory()}


def loader_of(cfg: DictConfig, parts: Any) -> DataLoader:
    data = build(cfg.data, "data")
    data.prepare()
    return build_loaders(cfg, data, parts.task.rails.batching, parts.trainer)[0]


def bare(project: str, overrides: list[str], rounds: int) -> dict[str, Any]:
    """Samples a second of a plain loop, the FLOPs of a sample's step, and whose network it is."""
    with assembled(project, overrides) as (cfg, parts):
        device = parts.trainer.strategy.root_device
        task: Task = parts.task
        model = "ours"
        if project == "imagenet_resnet" and find_spec("timm"):
            import timm

            model = "timm's"
            task.model = prepare_model(timm.create_model("resnet50", num_classes=CLASSES), cfg.hardware)
        task.to(device).train()
        batch = parts.trainer.strategy.batch_to_device(next(iter(loader_of(cfg, parts))), device)
        optimizer = build(cfg.optimizer, "optimizer", **optimizer_arguments(cfg.hardware))(
            parameter_groups(task.model)
        )

        def step() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled="bf16" in cfg.trainer.precision):
                loss, _ = task.loss(batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        reset_memory()
        with FlopCounterMode(display=False) as counter:
            step()
        seconds = []
        for _ in range(rounds + 1):
            began = now()
            for _ in range(cfg.trainer.limit_train_batches):
                step()
            seconds.append(now() - began)
    samples = cfg.effective_batch_size * cfg.trainer.limit_train_batches
    rate, work = (
        samples / statistics.median(seconds[1:]),
        counter.get_total_flops() / cfg.effective_batch_size,
    )
    return {"rate": rate, "memory": memory(), "flops": work, "model": model}


def reset_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def memory() -> float:
    """Peak, in GB; 0 on the processor."""
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


def ceiling(side: int) -> float:
    """FLOP/s of a bf16 product of two square matrices, the best of ten."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(12):
        began = now()
        a @ b
        seconds.append(now() - began)
    return 2 * side**3 / min(seconds[2:])


def image_folder(folder: Path, images: int, classes: int) -> Path:
    """An ImageNet-like folder of `images` training images: links to a few made photographs."""
    (folder / "made").mkdir()
    paths = write_photos(folder / "made", min(PHOTOS, images), 375, 500, 90)
    for number in range(images):
        for split in ("train", "val"):
            if split == "train" or number < classes:
                target = folder / split / f"{number % classes:04d}" / f"{number:06d}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(paths[number % len(paths)], target)
    return folder


def measure(project: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures of one project."""
    words = [*PROJECTS[project], *(TINY.get(project, []) if args.tiny else []), f"hardware={args.hardware}"]
    words += [f"trainer.limit_train_batches={args.steps}", "trainer.limit_val_batches=0"]
    if project == "imagenet_resnet":
        batch = next(
            int(word.split("=")[1]) for word in reversed(words) if word.startswith("effective_batch")
        )
        root = args.root or image_folder(folder, max(batch * args.steps, 20), 10 if args.tiny else CLASSES)
        words.append(f"data.root={root}")
    words += args.overrides
    found = {"resident": ours(project, words, args.rounds, True), "bare": bare(project, words, args.rounds)}
    if project == "imagenet_resnet":
        found["loading"] = ours(project, words, args.rounds, False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = [name for name in PROJECTS if (ROOT / "projects" / name / "train.py").exists()]
    parser.add_argument(
        "--projects", nargs="+", choices=here, default=here, metavar="NAME", help="default: all"
    )
    parser.add_argument("--hardware", default="auto", help="profile of conf/hardware (default %(default)s)")
    parser.add_argument("--steps", type=int, default=50, help="in a timed round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default %(default)s)")
    parser.add_argument("--root", help="a real ImageNet, in folders or shards")
    parser.add_argument("--tiny", action="store_true", help="small networks, two steps, on the processor")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("overrides", nargs="*", help="such as hardware.compile=true, after --")
    args = parser.parse_args()
    if args.tiny:
        args.steps, args.rounds, args.hardware = 2, 1, "cpu"
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    top = ceiling(256 if args.tiny else 8192)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "the processor"
    print(f"{date.today()}, {card}, torch {torch.__version__}, bf16 matmul {top / 1e12:,.1f} TFLOP/s")
    results = {}
    for project in args.projects:
        with tempfile.TemporaryDirectory() as folder:
            results[project] = found = measure(project, args, Path(folder))
        plain = found["bare"]
        for name, each in found.items():
            share = each["rate"] * plain["flops"] / top
            ratio = (
                f", {each['rate'] / plain['rate']:.3f} of bare ({plain['model']} network)"
                if name == "resident"
                else ""
            )
            print(
                f"{project:16s} {name:9s} {each['rate']:10,.1f} samples/s, {each['memory']:5.1f} GB, "
                f"{100 * share:5.1f} % of the ceiling{ratio}"
            )
    if args.json:
        print(json.dumps({"card": card, "date": str(date.today()), "ceiling": top, "projects": results}))


if __name__ == "__main__":
    main()
