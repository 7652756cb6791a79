"""The embedded default: scikit-learn's 1,797 scanned handwritten digits as an image folder of JPEGs.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from shared.data.generated import make_once
from shared.data.images import encode_jpeg, resize

VAL_SHARE, SPLIT_SEED = 0.2, 0


def write_digits(folder: Path, pixels: int = 32) -> None:
    """Make `folder`/{train,val}/<digit>/<number>.jpg once: `pixels` square, split by class."""
    make_once(folder, lambda fresh: write_split(fresh, pixels), recipe=f"digits, {pixels} px")


def write_split(folder: Path, pixels: int) -> None:
    digits = load_digits()
    scans = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # 17 grey levels, 8 x 8
    numbers = np.arange(len(scans))
    train, _ = train_test_split(numbers, test_size=VAL_SHARE, random_state=SPLIT_SEED, stratify=digits.target)
    for number in numbers:
        split = "train" if number in train else "val"
        target = folder / split / str(digits.target[number])
        target.mkdir(parents=True, exist_ok=True)
        grey = resize(scans[number], pixels)[:, :, None]
        (target / f"{number:04d}.jpg").write_bytes(encode_jpeg(grey))
