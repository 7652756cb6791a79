"""Straightening: the spline against SciPy's, what it leaves alone, and what it bends back."""

import numpy as np
import paddle
from scipy.interpolate import RBFInterpolator

from projects.thai_ocr.published.rectify import INNER, OUTER, POINTS, Rectify, frame, spline


def grid(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([x.ravel(), y.ravel()], 1)


def test_the_spline_is_scipys():
    points = frame(OUTER) + np.random.default_rng(0).normal(0, 0.05, (POINTS, 2))
    expected = RBFInterpolator(frame(INNER), points, kernel="thin_plate_spline")(grid(8, 20))
    assert np.allclose(spline(8, 20) @ points, expected, atol=1e-9)


def test_a_fresh_network_only_crops_a_little():
    """The first points are an even frame, so that a smooth image comes out as it went in, scaled."""
    layer = Rectify(32, 100)
    layer.eval()
    x = np.linspace(-1, 1, 256, dtype=np.float32)
    image = np.broadcast_to(x, (1, 3, 64, 256))
    found = layer(paddle.to_tensor(image)).numpy()
    scale = (0.5 - OUTER) / (0.5 - INNER)
    assert found.shape == (1, 3, 32, 100)
    assert np.abs(found - (np.linspace(-1, 1, 100) * scale).clip(-1, 1)).max() < 1e-4


def test_an_arc_is_straightened():
    """Points along an arc bring a bent bar into one row."""
    layer = Rectify(32, 100)
    layer.eval()
    x = np.linspace(0, 1, 256)
    middle = 32 + 14 * np.cos(np.pi * (x - 0.5))  # the bar's row in each column
    rows = np.arange(64)[:, None]
    image = np.broadcast_to((np.abs(rows - middle) < 3).astype(np.float32), (1, 3, 64, 256))
    points = frame(INNER)
    points[:, 1] = (points[:, 1] - 0.5) * 0.4 + np.interp(points[:, 0], x, middle) / 63
    layer.stn_head.stn_fc2.bias.set_value(points.ravel().astype(np.float32))
    found = layer(paddle.to_tensor(image)).numpy()[0, 0, :, 8:92]
    height = (found * np.arange(32)[:, None]).sum(0) / found.sum(0)
    left = np.ptp(middle) * 32 / 64 / 0.4  # what the arc would be if only the height were cut
    assert np.ptp(height) < left / 5 and found.max(0).min() > 0.9
