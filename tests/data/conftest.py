"""Images to decode: a photograph-like picture and files of it in many formats."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image


@pytest.fixture(scope="session")
def photo():
    return np.array(load_sample_image("china.jpg"))  # 427 x 640


@pytest.fixture
def encoded(photo):
    """encoded(mode, format, **options) -> bytes, written by Pillow."""

    def encode(mode="RGB", kind="JPEG", image=None, **options):
        buffer = io.BytesIO()
        Image.fromarray(photo if image is None else image).convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode
