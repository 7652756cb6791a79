"""Lines side by side: one sample, a padded batch, CTC frames of a label; what our networks have in common."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

STRIDE = 4  # pixels of width behind one column of our networks
STEPS = 2  # CTC frames a column: where Khmer stacks letters, there are more characters than columns
# Batches are a multiple of this wide: for each new shape oneDNN compiles and keeps kernels, which had a training
# run grow to 4 GB and cost it a tenth of its time.
WIDTH_STEP = 32
PARTS = 4  # of like width, that a training batch is cut into
FEWEST = 8  # lines of a part: batch norm wants some


def frames(width: Any) -> Any:
    """CTC frames of lines `width` pixels wide, for a number, an array or any framework's tensor.

    >>> frames(10), frames(np.array([16, 17])).tolist()
    (6, [8, 10])
    """
    return (width + STRIDE - 1) // STRIDE * STEPS


def frames_needed(label: Sequence[int]) -> int:
    """CTC frames that a label takes: one a character, and a blank between equal neighbours.

    >>> frames_needed([1, 2]), frames_needed([3, 3])
    (2, 3)
    """
    return len(label) + sum(a == b for a, b in pairwise(label))


def check_frames(available: Any, batch: Mapping[str, Any]) -> None:
    """Raise ValueError with the first line of a batch whose label takes more frames than are `available`."""
    lines = zip(available.tolist(), batch["frames_needed"].tolist(), batch["text"], strict=True)
    for found, needed, text in lines:
        if found < needed:
            raise ValueError(f"{found} frames are too few for {text!r}")


def conv_stages(
    channels: Sequence[int], blocks: Sequence[int]
) -> list[tuple[int, int, tuple[int, int], int]]:
    """Of each convolution stage: channels in and out, stride (rows, columns), residual blocks behind it.

    >>> conv_stages((24, 96, 192), (0, 2, 3))[2]
    (96, 192, (2, 1), 3)
    """
    strides = ((2, 2), (2, 2), (2, 1))  # a STRIDE of columns together
    return list(zip((1, *channels[:-1]), channels, strides, blocks, strict=True))


def stretch_rows(kernel: np.ndarray, rows: int) -> np.ndarray:
    """A kernel (O, I, K, 1) over another number of rows, with the same sum: weights of another `data.height` fit.

    >>> stretch_rows(np.ones((1, 1, 4, 1)), 5).ravel().tolist()
    [0.8, 0.8, 0.8, 0.8, 0.8]
    """
    if kernel.ndim != 4 or kernel.shape[2] == rows:
        return kernel
    old = kernel.shape[2]
    # linear between the centres of the old rows, as torch's interpolate has it
    at = np.clip((np.arange(rows) + 0.5) * old / rows - 0.5, 0, old - 1)
    below = np.floor(at).astype(int)
    share = (at - below).reshape(1, 1, rows, 1)
    wide = kernel.astype(np.float64)
    mixed = wide[:, :, below] * (1 - share) + wide[:, :, np.minimum(below + 1, old - 1)] * share
    return (mixed * (old / rows)).astype(kernel.dtype)


def sample(
    image: np.ndarray, label: list[int], text: str, index: int, group: int, corrupt: int = -1
) -> dict[str, Any]:
    numbers = {"index": index, "group": group, "corrupt": corrupt}
    return {"image": image, "label": label, "text": text, **numbers}


def pad_lines(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch: `image` uint8 (N, 1, H, W) padded with white to a multiple of WIDTH_STEP, `width` (N,) in pixels,
    `label` int64 (N, L) padded with 0, `label_length`, `frames_needed`, `index`, `group` int64 (N,), `text`, `corrupt`
    int64 (N,): the unreadable line that a sample stands in for, else -1."""
    widths = np.array([line["image"].shape[1] for line in samples])
    lengths = np.array([len(line["label"]) for line in samples])
    label = np.zeros((len(samples), max(1, int(lengths.max()))), np.int64)
    for row, line in enumerate(samples):
        label[row, : lengths[row]] = line["label"]
    numbers = {name: np.array([line[name] for line in samples]) for name in ("index", "group", "corrupt")}
    numbers["frames_needed"] = np.array([frames_needed(line["label"]) for line in samples])
    texts = [line["text"] for line in samples]
    image = stack([line["image"] for line in samples])
    return {
        "image": image,
        "width": widths,
        "label": label,
        "label_length": lengths,
        "text": texts,
        **numbers,
    }


def by_width(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A batch of `pad_lines`, or of tensors made of it, in parts from narrow to wide, each padded to its own width.

    Lines of as many characters differ in width, by the font and by what stacks: in one piece, half of a batch would be
    padding.
    """
    widths = np.array(batch["width"].tolist())
    found = []
    parts = max(1, min(PARTS, len(widths) // FEWEST))
    for rows in np.array_split(widths.argsort(kind="stable"), parts):
        part = {
            key: [value[row] for row in rows] if isinstance(value, list) else value[rows]
            for key, value in batch.items()
        }
        part["image"] = part["image"][..., : padded(widths[rows].max())]
        found.append(part)
    return found


def padded(width: int) -> int:
    """The next multiple of WIDTH_STEP."""
    return -(-int(width) // WIDTH_STEP) * WIDTH_STEP


def stack(images: Sequence[np.ndarray], margin: int = 0) -> np.ndarray:
    """Lines of one height as uint8 (N, 1, H, W), `margin` columns or more of white behind each, W a multiple of
    WIDTH_STEP."""
    height, width = images[0].shape[0], max(image.shape[1] for image in images) + margin
    stacked = np.full((len(images), 1, height, padded(width)), 255, np.uint8)
    for row, image in enumerate(images):
        stacked[row, 0, :, : image.shape[1]] = image
    return stacked
