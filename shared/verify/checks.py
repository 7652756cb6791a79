"""Checks, how they are run and reported; and what their results must be, in float64 numpy: neither torch nor Paddle."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

FRAMES, SAMPLES, CLASSES, LENGTH = 20, 3, 6, 5


@dataclass
class Result:
    """One check: `ok` is None if there was nothing to check; `mend` is the way out of a failure."""

    name: str
    ok: bool | None
    detail: str
    mend: str = ""


class Skipped(Exception):
    """There is nothing to check; the text says why."""


Check = tuple[str, Callable[[], str], str]  # name, work (says what was found, or raises), way out


def report(checks: list[Check]) -> None:
    """Run the checks one by one and print each result as a line of JSON, so that a crash loses only its own."""
    for name, work, mend in checks:
        try:
            result = Result(name, True, work())
        except Skipped as reason:
            result = Result(name, None, str(reason))
        except Exception as error:  # whatever the driver or a kernel raises is the finding
            text = " ".join(str(error).split()) or type(error).__name__
            result = Result(name, False, text[:300], mend)
        print(json.dumps(asdict(result)), flush=True)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    """Compare by the largest error over the largest value; ValueError if it is above `tolerance` or not finite."""
    error = float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())
    if not error <= tolerance:
        raise ValueError(f"wrong results: off by {error:.2g} of the largest value, allowed {tolerance:.0e}")
    return f"off by {error:.1e} of the largest value"


def supports(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Whether a build runs on a GPU: kernels of its major version (sm_80 on 8.6), or PTX (compute_90) to compile."""
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        digits = "".join(c for c in number if c.isdigit())
        built = (int(digits[:-1]), int(digits[-1]))
        if built <= capability and (kind == "compute" or built[0] == capability[0]):
            return True
    return False


def driver_enough(driver: str, cuda: str, capability: tuple[int, int]) -> int:
    """The oldest driver for a CUDA version on a GPU; ValueError if this one is older."""
    needed = {"13": 580, "12": 525, "11": 450}.get(cuda.split(".")[0], 0)
    needed = max(needed, 570 if capability[0] >= 12 else 0)
    if int(driver.split(".")[0]) < needed:
        raise ValueError(f"driver {driver} is older than {needed}, which CUDA {cuda} needs on this GPU")
    return needed


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def matmul_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two float32 matrices and their product."""
    a, b = draw(300, 257), draw(257, 190)
    return a, b, a.astype(np.float64) @ b.astype(np.float64)


def convolution_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, C, H, W), kernels (K, C, 3, 3), and what they give without padding."""
    image, kernel = draw(4, 8, 19, 21), draw(16, 8, 3, 3)
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (3, 3), (2, 3))
    return image, kernel, np.einsum("nchwij,kcij->nkhw", windows, kernel.astype(np.float64))


def ctc_case() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits (T, N, C), labels (N, L) without blanks (0), the summed loss's value (1,) and gradient (T, N, C)."""
    logits = draw(FRAMES, SAMPLES, CLASSES)
    labels = np.random.default_rng(1).integers(1, CLASSES, (SAMPLES, LENGTH))
    value, step = ctc_loss(logits.astype(np.float64), labels), 1e-5
    gradient = np.zeros(logits.shape)
    for index in np.ndindex(*logits.shape):
        shifted = logits.astype(np.float64)
        shifted[index] += step
        gradient[index] = (ctc_loss(shifted, labels) - value) / step
    return logits, labels, np.array([value]), gradient


def ctc_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Negative log-likelihood, summed over samples, by the forward recursion (Graves et al. 2006, section 4.1)."""
    total = 0.0
    for sample, label in enumerate(labels):
        scores = np.exp(logits[:, sample])
        chances = scores / scores.sum(1, keepdims=True)
        path = np.zeros(2 * len(label) + 1, np.int64)
        path[1::2] = label
        skips = np.concatenate([[False, False], (path[2:] != 0) & (path[2:] != path[:-2])])
        alpha = np.zeros(len(path))
        alpha[:2] = chances[0, path[:2]]
        for frame in chances[1:]:
            moved = alpha + np.concatenate([[0], alpha[:-1]])
            alpha = (moved + skips * np.concatenate([[0, 0], alpha[:-2]])) * frame[path]
        total -= np.log(alpha[-1] + alpha[-2])
    return total
