"""What a backup costs the training: how long a step waits to hand it over, and how steps fare while it runs.

Steps of ResNet-18 with AdamW; after each checkpoint (134 MB, to a folder) as many are timed during its backup as after
it, all in one run. Target: handing over takes at most 1 % of a step. That steps are slower while the backup hashes and
copies is competition for processors and memory, which a GPU's steps do not have.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from shared.backups.worker import Backups  # noqa: E402
from shared.nets.resnet import ResNet  # noqa: E402
from shared.policy.retention import Checkpoint as Record  # noqa: E402
from shared.record.folder import RunFolder  # noqa: E402


def training(batch: int, pixels: int) -> tuple[Callable[[], None], Callable[[Path], None]]:
    """A step of training, and a function that writes its checkpoint."""
    model = ResNet(18, 1000)
    optimizer = torch.optim.AdamW(model.parameters())
    images, labels = torch.randn(batch, 3, pixels, pixels), torch.randint(1000, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    def save(path: Path) -> None:
        written = path.with_name(".writing.ckpt")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, written)
        written.replace(path)

    return step, save


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(scratch: Path, rounds: int, batch: int, pixels: int) -> dict[str, list[float]]:
    """Seconds of each hand-over, of steps during a backup, and of steps without one."""
    folder = RunFolder(scratch / "run")
    backups = Backups(folder, "bench", str(scratch / "place"), keep=2, retries=0, wait_minutes=5)
    step, save = training(batch, pixels)
    times: dict[str, list[float]] = {"hand-over": [], "during": [], "without": []}
    step()
    for number in range(rounds):
        save(folder.checkpoints / "last.ckpt")
        records = {"last": Record(f"{number:08d}", 1, number)}
        times["hand-over"].append(seconds(lambda records=records: backups.submit(records)))
        busy = []
        while not backups.worker.idle:
            busy.append(seconds(step))
        times["during"] += busy
        times["without"] += [seconds(step) for _ in busy]
    assert backups.report()["status"] == "complete", backups.report()
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="checkpoints")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pixels", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backup-overhead-") as scratch:
        times = measure(Path(scratch), arguments.rounds, arguments.batch, arguments.pixels)
    middle = {name: statistics.median(found) for name, found in times.items()}
    share = middle["hand-over"] / middle["without"]
    longest = max(times["hand-over"]) * 1e3
    print(f"handing over  {middle['hand-over'] * 1e3:.2f} ms (longest {longest:.2f}), {share:.2%} of a step")
    print(f"a step        {middle['without'] * 1e3:.0f} ms, {middle['during'] * 1e3:.0f} ms during a backup")
    print(f"ratio         {middle['during'] / middle['without']:.3f} over {len(times['during'])} steps each")
    return int(share > 0.01)


if __name__ == "__main__":
    sys.exit(main())
