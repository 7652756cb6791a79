"""Peak memory of training video_lstm (ResNet-18, 16 frames of 112 px, AdamW), with and without recomputed activations.

Each way runs in a process of its own and reports its peak resident memory and the CPU time of a step. Target: less
than 3 GB at a batch of 8.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def measure(batch: int, steps: int, checkpointing: bool) -> dict[str, float]:
    """In GB: this process before, what a step keeps for its backward pass, the peak; CPU seconds of the last step."""
    import torch

    from projects.video_lstm.model import VideoLSTM

    before = peak()
    torch.manual_seed(0)
    model = VideoLSTM(100, checkpointing=checkpointing)
    optimizer = torch.optim.AdamW(model.parameters())
    clip, label = torch.randn(batch, 16, 3, 112, 112), torch.arange(batch)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    for _ in range(steps):
        kept.clear()
        began = time.process_time()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = sum(torch.nn.functional.cross_entropy(logits, label) for logits in model(clip))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    seconds = time.process_time() - began
    return {"before": before, "kept": sum(kept.values()) / 1e9, "peak": peak(), "seconds": seconds}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8, help="clips (default %(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="of training (default %(default)s)")
    parser.add_argument("--way", choices=("kept", "recomputed"), help="measure one way in this process")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.batch, options.steps, options.way == "recomputed")))
        return
    found = {}
    for way in ("kept", "recomputed"):
        command = [
            sys.executable,
            __file__,
            "--way",
            way,
            "--batch",
            str(options.batch),
            "--steps",
            str(options.steps),
        ]
        found[way] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"activations {way:<10}", "  ".join(f"{name} {value:.2f}" for name, value in found[way].items())
        )
    kept, recomputed = found["kept"], found["recomputed"]
    print(
        f"recomputing: {kept['kept'] / recomputed['kept']:.2f} times less kept for the backward pass, "
        f"peak {kept['peak'] / recomputed['peak']:.2f} times less, "
        f"{recomputed['seconds'] / kept['seconds']:.2f} times the CPU time"
    )


if __name__ == "__main__":
    main()
