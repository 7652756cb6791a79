"""A line cut out of its page, upright, with a little more than its box and nothing of its neighbours."""

from collections.abc import Sequence

import cv2
import numpy as np

from shared.ocr.pages.boxes import Box

ABOVE, BESIDE = (
    0.14,
    0.2,
)  # heights of a line added above and below, and at each end: marks reach out of their boxes


def cut_line(image: np.ndarray, box: Box, others: Sequence[Box] = ()) -> np.ndarray:
    """Grey uint8 (H, W) of one line of a grey page; what lies in the boxes of `others` becomes ground."""
    margin, ends = ABOVE * box.height, BESIDE * box.height
    whole = box._replace(width=box.width + 2 * ends, height=box.height + 2 * margin)
    width, height = max(4, round(whole.width)), max(4, round(whole.height))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(whole.corners.astype(np.float32), target)
    line = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )

    near = [other for other in others if other is not box and _touch(whole, other)]
    if near:
        mask = np.zeros(line.shape, np.uint8)
        for other in near:
            corners = cv2.perspectiveTransform(other.corners[None].astype(np.float32), matrix)[0]
            cv2.fillConvexPoly(mask, corners.round().astype(np.int32), 1)
        # Where boxes overlap, the line's own ink wins.
        mask[round(margin) : height - round(margin)] = 0
        line[mask > 0] = ground(line)
    return line


def ground(line: np.ndarray) -> int:
    """The grey of the paper: of the commonest sixteenth of the grey levels, the median."""
    counts = np.bincount(line.ravel() // 16, minlength=16)
    return int(np.median(line[line // 16 == counts.argmax()]))


def _touch(one: Box, other: Box) -> bool:
    left, top, right, bottom = one.bounds
    other_left, other_top, other_right, other_bottom = other.bounds
    return left < other_right and other_left < right and top < other_bottom and other_top < bottom
