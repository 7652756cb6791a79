"""What `shared.ocr.lines.image` does to a line, as a part of a Paddle graph: batches of grey lines (N, H, W) and their
widths (N,)."""

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from shared.ocr.lines.image import EDGE, FAINT, FILLED, FLATTEST, MARGIN, SHARP, SHARPEST


def trim(grey: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Lines without wide margins, brought back to their height, and how wide they then are.

    In one pass: these lines have fewer rows than `COARSE`, so that a second one would find the same ink.
    """
    height = grey.shape[1]
    slope = gradient(beyond(grey, width))
    own = inside(grey, width)
    ink = own & (slope > (SHARP * quantile(slope, own, SHARPEST)).clip(min=FAINT))
    top, bottom = extent(ink.any(axis=2))
    left, right = extent(ink.any(axis=1))
    letters = bottom - top
    wide = (letters > 0) & (letters <= FILLED * height) & (right - left <= FLATTEST * letters)
    margin = (letters / MARGIN).floor()
    none = paddle.zeros_like(top)
    full = width.astype("float32")
    top = paddle.where(wide, (top - margin).clip(min=0), none)
    bottom = paddle.where(wide, (bottom + margin).clip(max=height), none + height)
    across = wide & (right - left >= letters)
    left = paddle.where(across, (left - margin).clip(min=0), none)
    right = paddle.where(across, paddle.minimum(right + margin, full), full)
    scale = (bottom - top) / height
    fitting = ((right - left) / scale).round()
    return sample(beyond(grey, width), top, left, scale, fitting.max()), fitting.astype("int64")


def sample(grey: Tensor, top: Tensor, left: Tensor, scale: Tensor, columns: Tensor) -> Tensor:
    """From (top, left) of each line, a pixel every `scale` pixels, to the full height and to `columns`."""
    rows, pixels = grey.shape[1], grey.shape[2]
    y = top.unsqueeze(1) + (paddle.arange(rows, dtype="float32") + 0.5).unsqueeze(0) * scale.unsqueeze(1)
    x = left.unsqueeze(1) + (paddle.arange(columns, dtype="float32") + 0.5).unsqueeze(0) * scale.unsqueeze(1)
    y, x = (2 * y / rows - 1).unsqueeze(2), (2 * x / pixels - 1).unsqueeze(1)
    grid = paddle.stack([x + paddle.zeros_like(y), y + paddle.zeros_like(x)], axis=3)
    found = F.grid_sample(grey.unsqueeze(1), grid, padding_mode="border", align_corners=False)
    return found.squeeze(1).round()


def beyond(grey: Tensor, width: Tensor) -> Tensor:
    """Lines whose last column goes on behind their width."""
    last = paddle.take_along_axis(grey, (width - 1).reshape([-1, 1, 1]), axis=2)
    return paddle.where(inside(grey, width), grey, last + paddle.zeros_like(grey))


def gradient(grey: Tensor) -> Tensor:
    """The largest less the smallest of 3 x 3 pixels, of smoothed lines."""
    smooth = grey.unsqueeze(1)
    for pad, shape in (([0, 0, 1, 1], [1, 1, 3, 1]), ([1, 1, 0, 0], [1, 1, 1, 3])):
        kernel = paddle.to_tensor([0.25, 0.5, 0.25]).reshape(shape)
        smooth = F.conv2d(F.pad(smooth, pad, mode="reflect"), kernel)
    smooth = smooth.round()
    largest, smallest = F.max_pool2d(smooth, 3, 1, 1), -F.max_pool2d(-smooth, 3, 1, 1)
    return (largest - smallest).squeeze(1)


def extent(marked: Tensor) -> tuple[Tensor, Tensor]:
    """From the first to behind the last mark in each row (N, P); 0, 0 if there is none."""
    at = paddle.arange(marked.shape[1], dtype="float32").unsqueeze(0)
    first = paddle.where(marked, at, at + 1e6).min(axis=1)
    last = paddle.where(marked, at + 1, 0 * at).max(axis=1)
    return paddle.minimum(first, last), last


def stretch(grey: Tensor, width: Tensor) -> Tensor:
    """Ground to 255 and ink to 0; white behind each line."""
    grey = grey.astype("float64")  # as NumPy computes it: a rounding error would be a grey level
    own = inside(grey, width)
    low, high = (quantile(grey, own, share) for share in (0.01, 0.99))
    ground = quantile(grey, own & edges(grey, width), 0.5)
    span = paddle.where(ground - low < high - ground, high - grey, grey - low)
    full = paddle.full([1], 255.0, "float64")  # a plain 255 would become an operator that ONNX lacks
    span = (span * (full / (high - low).clip(min=1))).clip(0, 255).floor()
    white = paddle.full_like(grey, 255)
    span = paddle.where(high - low < 4, white, span)
    return paddle.where(own, span, white).astype("float32")


def inside(grey: Tensor, width: Tensor) -> Tensor:
    """Which pixels (N, H, W) belong to lines `width` wide."""
    columns = paddle.arange(grey.shape[2]).unsqueeze(0) < width.unsqueeze(1)
    return columns.unsqueeze(1).expand([-1, grey.shape[1], -1])


def edges(grey: Tensor, width: Tensor) -> Tensor:
    """Which pixels (N, H, W) are near an edge of lines `width` wide, or behind it."""
    height = grey.shape[1]
    edge = max(1, height // EDGE)
    row, column = paddle.arange(height), paddle.arange(grey.shape[2]).unsqueeze(0)
    outer_rows = (row < edge) | (row >= height - edge)
    outer_columns = (column < edge) | (column >= (width - edge).unsqueeze(1))
    return outer_rows.reshape([1, -1, 1]) | outer_columns.unsqueeze(1)


def quantile(values: Tensor, chosen: Tensor, share: float) -> Tensor:
    """Of each line's `chosen` values (N, H, W), interpolated as NumPy does: (N, 1, 1)."""
    ranked = paddle.where(chosen, values, paddle.full_like(values, 1e4)).reshape([0, -1]).sort(axis=1)
    at = (chosen.astype(values.dtype).sum(axis=[1, 2]).unsqueeze(1) - 1) * share
    below = at.floor()
    one = paddle.take_along_axis(ranked, below.astype("int64"), axis=1)
    other = paddle.take_along_axis(ranked, at.ceil().astype("int64"), axis=1)
    return (one + (other - one) * (at - below)).unsqueeze(2)
