"""Our evaluation of a speaker network against the reference protocol, in CPU seconds of one thread.

reference   clovaai/voxceleb_trainer's, written plainly: each utterance is one batch of ten crops of 3 s, then a
            loop over the pairs, each with the distances of ten by ten crops
ours        eval.mode=whole: each utterance once, as a whole, scored by matrix products; in fp32, and in bf16
Targets: fp32 at least 4 times less, bf16 at least 6 times; scores and error rates of 10,000 pairs within 0.05 s, of
581,480 pairs (as many as VoxCeleb1-E has) within 1 s.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from projects.voxceleb.audio.features import samples_of
from projects.voxceleb.model import ResNetSE34V2
from projects.voxceleb.trials.metrics import error_rates
from projects.voxceleb.trials.protocol import Protocol, score_pairs

CROPS, FRAMES, VOXCELEB1_E = 10, 300, 581_480


def make_waves(count: int) -> list[Tensor]:
    """Noise of VoxCeleb1's lengths: 4 s and more, 8 s on average."""
    rng = np.random.default_rng(0)
    seconds = 4 + rng.exponential(4, count).clip(max=20)
    return [torch.from_numpy(rng.normal(0, 0.1, int(s * 16_000)).astype(np.float32)) for s in seconds]


def reference(network: nn.Module, waves: list[Tensor], pairs: Tensor) -> list[float]:
    length, features = samples_of(FRAMES), []
    for wave in waves:
        audio = np.pad(wave.numpy(), (0, max(0, length - len(wave))), "wrap")
        starts = np.linspace(0, len(audio) - length, num=CROPS)
        crops = np.stack([audio[int(start) : int(start) + length] for start in starts])
        features.append(network(torch.from_numpy(crops)))
    scores = []
    for first, second in pairs.tolist():
        a, b = F.normalize(features[first], p=2, dim=1), F.normalize(features[second], p=2, dim=1)
        scores.append(-torch.cdist(a, b).mean().item())
    return scores


def ours(network: nn.Module, waves: list[Tensor], pairs: Tensor) -> Tensor:
    return score_pairs(Protocol().embed(network, waves), pairs)


def ours_bf16(network: nn.Module, waves: list[Tensor], pairs: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return ours(network, waves, pairs)


def seconds(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """CPU seconds of this process, and what the work returned."""
    began = time.process_time()
    result = work(*arguments)
    return time.process_time() - began, result


def score_trials(count: int, utterances: int) -> float:
    """CPU seconds from unit embeddings to scores, equal error rate and two detection costs; best of three."""
    generator = torch.Generator().manual_seed(0)
    table = F.normalize(torch.randn(utterances, 1, 512, generator=generator), dim=2)
    pairs = torch.randint(utterances, (count, 2), generator=generator)
    target = torch.rand(count, generator=generator) < 0.5

    def work() -> None:
        rates = error_rates(score_pairs(table, pairs), target)
        rates.eer(), rates.min_dcf(0.01), rates.min_dcf(0.05)

    return min(seconds(work)[0] for _ in range(3))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=500, help="of 8 s on average (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=10_000, help="scored by all (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for count, utterances in ((10_000, 4708), (VOXCELEB1_E, 4708), (VOXCELEB1_E, 145_160)):
        cpu = score_trials(count, utterances)
        print(f"scores and error rates of {count:,} pairs of {utterances:,} utterances: {cpu:.3f} s")
    network, fast = ResNetSE34V2().eval(), ResNetSE34V2().eval().to(memory_format=torch.channels_last)
    fast.load_state_dict(network.state_dict())
    waves = make_waves(options.utterances)
    pairs = torch.randint(len(waves), (options.pairs, 2), generator=torch.Generator().manual_seed(0))
    length = np.mean([len(wave) for wave in waves]) / 16_000
    print(
        f"{len(waves)} utterances of {length:.1f} s on average, {len(pairs):,} pairs, one thread, CPU seconds:"
    )
    runs = {"reference": (reference, network), "ours, fp32": (ours, fast), "ours, bf16": (ours_bf16, fast)}
    for work, net in runs.values():
        work(net, waves[:2], pairs[:1] * 0)  # warms the caches
    spent = {name: seconds(work, net, waves, pairs)[0] for name, (work, net) in runs.items()}
    for name, cpu in spent.items():
        print(f"  {name}  {cpu:7.1f} s   {spent['reference'] / cpu:5.2f} times less")


if __name__ == "__main__":
    main()
