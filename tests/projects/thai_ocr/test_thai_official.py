"""The networks that PaddleOCR knows: names, shapes and outputs as measured on the official ones (reference/)."""

import json
import zlib
from pathlib import Path

import numpy as np
import paddle
import pytest

from projects.thai_ocr.official import official_image, paddlex_name, ppocrv5_mobile
from projects.thai_ocr.svtr import SVTR, svtr_tiny

REFERENCE = Path(__file__).parent / "reference"
LETTERS = "".join(map(chr, range(0x4E00, 0x4E00 + 525)))
SVTRS = json.loads((REFERENCE / "svtr_tiny.json").read_text())["variants"]
MOBILE = json.loads((REFERENCE / "ppocrv5_mobile.json").read_text())


def filled(name: str, shape: list[int]) -> np.ndarray:
    """The numbers that the reference's weights were filled with."""
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    array = draw.normal(0, 0.05, shape)
    if name.endswith("_mean"):
        array = draw.normal(0, 0.05, shape)
    elif name.endswith("_variance") or (name.endswith("weight") and len(shape) == 1):
        array = draw.uniform(0.8, 1.2, shape)
    elif name.endswith("scale"):
        array = draw.uniform(0.3, 0.5, shape)
    return array.astype(np.float32)


def scores(net: paddle.nn.Layer, height: int, width: int) -> np.ndarray:
    image = np.random.RandomState(0).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
    net.eval()
    with paddle.no_grad():
        return net.scores(paddle.to_tensor(image)).numpy()


@pytest.mark.parametrize("variant", SVTRS)
def test_svtr_tiny_is_the_official_network(variant, tmp_path):
    facts = SVTRS[variant]
    (height, width), shapes = facts["img_size"], facts["state_dict"]
    np.savez(tmp_path / "net.npz", **{name: filled(name, shape) for name, shape in shapes.items()})
    weights = str(tmp_path / "net.npz")
    sizes = (width, facts["frames"], facts["outputs"], facts.get("rectified"))
    net = svtr_tiny(526, height, LETTERS, *sizes, weights=weights)
    assert {name: list(tensor.shape) for name, tensor in net.state_dict().items()} == shapes
    if "rectified" in facts:  # the official outputs of this variant were not measured
        return
    expected = np.load(REFERENCE / "svtr_tiny_ref.npz")[f"{reference_name(variant)}_logits"]
    assert np.abs(scores(net, height, width) - expected).max() < 2e-4 * np.abs(expected).max()


def reference_name(variant: str) -> str:
    return "svtr_" + variant.removeprefix("thai_")


def test_ppocrv5_mobile_is_the_official_network(tmp_path, caplog):
    own = {name: shape for name, shape in MOBILE["paddleocr"].items() if "gtc" not in name}
    assert {paddlex_name(name): shape for name, shape in own.items()} == MOBILE["paddlex"]
    arrays = {name: filled(name, shape) for name, shape in MOBILE["paddleocr"].items()}
    paddle.save(
        {name: paddle.to_tensor(array) for name, array in arrays.items()}, str(tmp_path / "best.pdparams")
    )
    net = ppocrv5_mobile(526, 48, LETTERS, weights=str(tmp_path / "best.pdparams"))
    assert {name: list(tensor.shape) for name, tensor in net.state_dict().items()} == MOBILE["paddlex"]
    assert "84 tensors not used: head.before_gtc" in caplog.text and "left fresh" not in caplog.text
    expected = np.load(REFERENCE / "th_mobile_ref.npz")["logits"]
    assert np.abs(scores(net, 48, 320) - expected).max() < 1e-3 * np.abs(expected).max()


def test_lines_are_prepared_as_paddleocr_prepares_them():
    image = np.full((2, 1, 48, 64), 255, np.uint8)
    image[1, :, :, :40] = 0
    found = official_image(paddle.to_tensor(image), paddle.to_tensor([64, 40]), 320, squeeze=False).numpy()
    assert found.shape == (2, 3, 48, 320)
    assert (found[0, :, :, :64] == 1).all() and (found[1, :, :, :40] == -1).all()
    assert (found[0, :, :, 64:] == 0).all() and (found[1, :, :, 40:] == 0).all()


def test_a_batch_too_wide_for_svtr_is_squeezed():
    net = SVTR(30, 32, 100, 25, 192)
    net.eval()
    assert net(paddle.zeros([2, 1, 32, 160], "uint8"), paddle.to_tensor([160, 90])).shape == [2, 25, 30]
    assert (net.frames(np.array([160, 90]), 160) == 25).all()


@pytest.mark.parametrize("rectified", [None, (32, 64)])
def test_every_weight_of_svtr_learns(rectified):
    net = SVTR(20, 32, 64, 16, 32, rectified)
    if rectified:  # zero at first, and what lies in front of it gets no gradient then
        weight = net.transform.stn_head.stn_fc2.weight
        weight.set_value(paddle.randn(weight.shape) * 0.01)
    net(paddle.randint(0, 256, [4, 1, 32, 64]).astype("uint8"), paddle.to_tensor([64, 50, 64, 30])).logsumexp(
        2
    ).sum().backward()
    trained = {name: p.grad for name, p in net.named_parameters() if not p.stop_gradient}
    assert not [name for name, grad in trained.items() if grad is None or not grad.numpy().any()]
