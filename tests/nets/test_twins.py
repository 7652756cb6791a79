"""The line recogniser in torch and its twin in Paddle: the same parts, the same parameters, the same scores."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from shared.config.root import ROOT
from shared.ocr.lines.batch import frames, stretch_rows
from shared.paddle.nets.line_recogniser import LineRecogniser

TWINS = [ROOT / "shared/nets/line_recogniser.py", ROOT / "shared/paddle/nets/line_recogniser.py"]
SMALL = {"channels": (8, 16, 32), "blocks": (1, 1, 1), "layers": 2, "heads": 2}
PADDLE_NAMES = {"running_mean": "_mean", "running_var": "_variance"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What torch's network holds and computes, from a process of its own."""
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).with_name("torch_reference.py")
    subprocess.run([sys.executable, script, folder], check=True, env={"PYTHONPATH": str(ROOT)})
    return {name: dict(np.load(folder / f"{name}.npz")) for name in ("weights", "outputs", "gradients")}


@pytest.fixture
def twin(reference):
    """Paddle's network with the weights of torch's, each of them by name; linear ones are turned."""
    net = LineRecogniser(40, **SMALL)
    linear = {name for name, layer in net.named_sublayers() if isinstance(layer, paddle.nn.Linear)}
    given = {}
    for name, array in reference["weights"].items():
        layer, _, last = name.rpartition(".")
        if last != "num_batches_tracked":
            turned = layer in linear and last == "weight"
            given[f"{layer}.{PADDLE_NAMES.get(last, last)}"] = array.T if turned else array
    expected = net.state_dict()
    assert given.keys() == expected.keys()
    assert not [name for name in given if given[name].shape != tuple(expected[name].shape)]
    net.set_state_dict({name: paddle.to_tensor(np.ascontiguousarray(a)) for name, a in given.items()})
    return net, linear


def test_they_compute_the_same(reference, twin):
    outputs, (net, _) = reference["outputs"], twin
    net.eval()
    found = net(paddle.to_tensor(outputs["image"]), paddle.to_tensor(outputs["width"])).numpy()
    for ours, theirs, count in zip(found, outputs["logits"], frames(outputs["width"]), strict=True):
        assert np.abs(ours[:count] - theirs[:count]).max() < 1e-5


def test_they_learn_the_same(reference, twin):
    outputs, (net, linear) = reference["outputs"], twin
    net.eval()
    net(paddle.to_tensor(outputs["image"]), paddle.to_tensor(outputs["width"])).logsumexp(2).sum().backward()
    found = {name: p.grad.numpy() for name, p in net.named_parameters() if not p.stop_gradient}
    expected = reference["gradients"]
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        layer = name.rpartition(".")[0]
        ours = found[name].T if layer in linear and name.endswith("weight") else found[name]
        assert np.abs(ours - gradient).max() < 1e-3 * max(1e-3, np.abs(gradient).max()), name


def test_they_are_written_alike():
    """The same classes with the same arguments, each file naming the other in its first line."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in TWINS]
    said = [ast.get_docstring(tree).splitlines()[0] for tree in trees]
    assert [other.relative_to(ROOT).as_posix() in line for other, line in zip(TWINS[::-1], said, strict=True)]
    assert all(line.startswith("The twin of ") and "tests/nets/test_twins.py" in line for line in said)
    ours, theirs = ({each.name: arguments(each) for each in classes(tree)} for tree in trees)
    assert ours == theirs and "LineRecogniser" in ours


def classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def arguments(node: ast.ClassDef) -> str:
    first = next(each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    return ast.unparse(first.args)


def test_rows_are_stretched_as_torchs_interpolation_does(reference):
    outputs = reference["outputs"]
    for rows in (3, 5, 8):
        found = stretch_rows(outputs["kernel"], rows)
        assert np.abs(found - outputs[f"kernel_{rows}"]).max() < 1e-5
    assert stretch_rows(outputs["kernel"], 4) is outputs["kernel"]
