import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from projects.thai_ocr.model import recogniser
from shared.errors import UserError
from shared.paddle.nets.line_recogniser import LineRecogniser

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"channels": (8, 16, 32), "blocks": (1, 1, 1), "layers": 2, "heads": 2}
LETTERS = "".join(map(chr, range(0xE01, 0xE01 + 39)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What torch's network holds and computes, from a process of its own."""
    folder = tmp_path_factory.mktemp("torch")
    script = ROOT / "tests/nets/torch_reference.py"
    subprocess.run([sys.executable, script, folder], check=True, env={"PYTHONPATH": str(ROOT)})
    return folder, dict(np.load(folder / "outputs.npz"))


def scores(net, outputs) -> np.ndarray:
    with paddle.no_grad():
        return net(paddle.to_tensor(outputs["image"]), paddle.to_tensor(outputs["width"])).numpy()


def test_weights_trained_in_torch_compute_the_same_here(reference):
    folder, outputs = reference
    net = recogniser(40, 32, LETTERS, weights=str(folder / "net.safetensors"), **SMALL)
    net.eval()
    frames = -(-outputs["width"] // 4)
    for found, expected, count in zip(scores(net, outputs), outputs["logits"], frames, strict=True):
        assert np.abs(found[:count] - expected[:count]).max() < 1e-5


def test_another_dictionary_keeps_its_characters_rows(reference, caplog):
    folder, outputs = reference
    (folder / "dict.txt").write_text("\n".join(LETTERS[:-1]), encoding="utf-8")  # and a space, unnamed
    shuffled = LETTERS[10:20] + "ๆ" + LETTERS[:5] + " "
    try:
        with caplog.at_level(logging.INFO):
            weights = str(folder / "net.safetensors")
            net = recogniser(len(shuffled) + 1, 32, shuffled, weights=weights, **SMALL)
    finally:
        (folder / "dict.txt").unlink()
    net.eval()
    found, expected = scores(net, outputs)[0], outputs["logits"][0]
    known = LETTERS[:-1] + " "
    assert np.abs(found[:, 0] - expected[:, 0]).max() < 1e-5
    for column, character in enumerate(shuffled, start=1):
        if character in known:
            assert np.abs(found[:, column] - expected[:, known.index(character) + 1]).max() < 1e-5
    assert "16 of 17 characters reused; new: ๆ" in caplog.text


def test_without_a_dictionary_the_classifier_stays_fresh_and_is_named(reference, caplog):
    folder, _ = reference
    with caplog.at_level(logging.WARNING):
        recogniser(30, 32, LETTERS[:29], weights=str(folder / "net.safetensors"), **SMALL)
    assert "2 tensors left fresh: classify.weight, classify.bias" in caplog.text


def test_what_does_not_fit_is_an_error(reference, tmp_path):
    weights = str(reference[0] / "net.safetensors")
    with pytest.raises(UserError, match="does not fit"):
        recogniser(40, 32, LETTERS, weights=weights, **{**SMALL, "channels": (8, 16, 64)})
    (tmp_path / "x.pdparams").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="cannot read"):
        recogniser(40, 32, LETTERS, weights=str(tmp_path / "x.pdparams"), **SMALL)


def test_paddles_own_files_load(tmp_path):
    net = LineRecogniser(40, **SMALL)
    paddle.save(net.state_dict(), str(tmp_path / "net.pdparams"))
    np.savez(tmp_path / "net.npz", **{name: t.numpy() for name, t in net.state_dict().items()})
    for name in ("net.pdparams", "net.npz"):
        other = recogniser(40, 32, LETTERS, weights=str(tmp_path / name), **SMALL)
        ours, theirs = net.state_dict(), other.state_dict()
        assert all(np.array_equal(ours[key].numpy(), theirs[key].numpy()) for key in ours)


def test_padding_changes_next_to_nothing():
    paddle.seed(0)
    net = LineRecogniser(20, **SMALL)
    net.eval()
    image = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 400)).astype(np.uint8)
    image[1, :, :, 200:] = 255
    together = scores(net, {"image": image, "width": np.array([400, 200])})[1, :40]
    alone = scores(net, {"image": image[1:, :, :, :200], "width": np.array([200])})[0, :40]
    assert np.array_equal(together.argmax(1), alone.argmax(1))


def test_every_weight_learns():
    net = LineRecogniser(20, **SMALL)
    image = paddle.randint(0, 256, [2, 1, 32, 80]).astype("uint8")
    net(image, paddle.to_tensor([80, 61])).logsumexp(2).sum().backward()
    trained = {name: p.grad for name, p in net.named_parameters() if not p.stop_gradient}
    assert not [name for name, grad in trained.items() if grad is None or not grad.numpy().any()]
