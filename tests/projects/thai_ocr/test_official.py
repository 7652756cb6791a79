"""The networks that PaddleOCR knows: names, shapes and outputs as measured on the official ones (reference/)."""

import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import paddle
import pytest

from projects.thai_ocr.inference.gates import to_onnx
from projects.thai_ocr.inference.graph import write_folder
from projects.thai_ocr.published.ppocrv5 import official_image, paddlex_name, ppocrv5_mobile
from projects.thai_ocr.published.svtr import SVTR, squeeze, svtr_tiny
from shared.ocr.script.charset import Charset

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
    found = official_image(paddle.to_tensor(image), paddle.to_tensor([64, 40]), 320).numpy()
    assert found.shape == (2, 3, 48, 320)
    assert (found[0, :, :, :64] == 1).all() and (found[1, :, :, :40] == -1).all()
    assert (found[0, :, :, 64:] == 0).all() and (found[1, :, :, 40:] == 0).all()


def test_svtr_squeezes_wide_lines_and_leaves_their_neighbours_alone():
    """A wide line comes out as cv2 would resize it; a narrow one beside it as it would alone."""
    ramp = np.linspace(-0.9, 0.9, 200, dtype=np.float32)
    wide = np.broadcast_to(ramp, (3, 32, 200))
    narrow = np.zeros((3, 32, 200), np.float32)
    narrow[:, :, :60] = np.random.default_rng(0).uniform(0.1, 1, (3, 32, 60))
    found = squeeze(paddle.to_tensor(np.stack([wide, narrow])), 32, 100).numpy()
    expected = cv2.resize(wide[0], (100, 32), interpolation=cv2.INTER_LINEAR)
    assert found.shape == (2, 3, 32, 100) and np.abs(found[0] - expected).max() < 1e-5
    assert np.abs(found[1] - narrow[:, :, :100]).max() < 1e-5


def test_svtr_has_as_many_frames_whatever_the_width():
    net = SVTR(30, 32, 100, 25, 192)
    net.eval()
    assert net(paddle.zeros([2, 1, 32, 160], "uint8"), paddle.to_tensor([160, 90])).shape == [2, 25, 30]
    assert (net.frames(np.array([160, 90]), 160) == 25).all()


@pytest.mark.parametrize(("frames", "rectified"), [(16, None), (25, (32, 100))])
def test_svtr_becomes_a_folder_for_paddleocr(frames, rectified, tmp_path):
    """Any width goes in, and ONNX Runtime scores as Paddle does."""
    paddle.seed(0)
    charset = Charset.load("thai")
    net = SVTR(len(charset), 64, 128, frames, 32, rectified)
    net.eval()
    write_folder(net, charset, 64, tmp_path)
    session = onnxruntime.InferenceSession(to_onnx(tmp_path / "inference"))
    for width in (128, 320):
        image = np.random.default_rng(0).uniform(-1, 1, (2, 3, 64, width)).astype(np.float32)
        image[1, :, :, 90:] = 0
        expected = paddle.nn.functional.softmax(net.scores(paddle.to_tensor(image)), axis=2).numpy()
        order = [0, *charset.encode(charset.characters.replace(" ", "") + " ")]
        found = session.run(None, {session.get_inputs()[0].name: image})[0]
        assert np.abs(found - expected[:, :, order]).max() < 1e-4


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
