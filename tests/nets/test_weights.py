"""Weights files in the layouts that people have: each one loads whole, or is refused with the true reason."""

import argparse
import copy
import datetime
import logging
import pathlib
from collections import OrderedDict

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from shared.errors import UserError
from shared.nets.resnet import ResNet
from shared.nets.weights import RESNET_CLASSIFIER, load_weights

ARGS = argparse.Namespace(arch="resnet18", lr=0.1)


def make(classes: int = 5, depth: int = 18, width: int = 8) -> ResNet:
    return ResNet(depth, classes, width=width)


@pytest.fixture(scope="module")
def donor() -> ResNet:
    torch.manual_seed(3)
    net = make()
    for tensor in net.state_dict().values():
        tensor.uniform_(0.5, 1) if tensor.is_floating_point() else tensor.fill_(7)
    return net


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: tensor for name, tensor in state.items()}


def spoilt(state: dict) -> dict:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def moco(state: dict) -> dict:
    """An encoder with a projection in the place of its classifier, its momentum copy and a queue."""
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    head = {"fc.0.weight": torch.ones(8, 64), "fc.2.weight": torch.ones(4, 8)}
    momentum = under("module.encoder_k.", spoilt(body | head))
    return under("module.encoder_q.", body | head) | momentum | {"module.queue": torch.ones(4, 16)}


def lightning(prefix: str, state: dict) -> dict:
    settings = OmegaConf.create({"lr": 0.1, "model": {"depth": 18}})
    loops = {"fit_loop": {"state_dict": {}}}
    return {
        "state_dict": under(prefix, state) | {"criterion.weight": torch.ones(5)},
        "hyper_parameters": settings,
        "pytorch-lightning_version": "2.2.0",
        "loops": loops,
        "epoch": 3,
    }


def sgd_state(net: nn.Module) -> dict:
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer.state_dict()


LAYOUTS = {
    "bare": lambda s: s,
    "bare, ordered": lambda s: OrderedDict(s),
    "module.": lambda s: under("module.", s),
    "_orig_mod.": lambda s: under("_orig_mod.", s),
    "module._orig_mod.": lambda s: under("module._orig_mod.", s),
    "_orig_mod.module.": lambda s: under("_orig_mod.module.", s),
    "compiled parts": lambda s: {n.replace("layer1.", "layer1._orig_mod."): t for n, t in s.items()},
    "net.": lambda s: under("net.", s),
    "backbone.": lambda s: under("backbone.", s),
    "model.backbone.module.": lambda s: under("model.backbone.module.", s),
    "state_dict of module.": lambda s: {"epoch": 9, "arch": "resnet18", "state_dict": under("module.", s)},
    "model beside args": lambda s: {"model": s, "args": ARGS, "epoch": 3, "lr_scheduler": {"last_epoch": 3}},
    "timm": lambda s: {
        "state_dict": spoilt(s),
        "state_dict_ema": s,
        "args": ARGS,
        "metric": np.float64(71.2),
    },
    "Lightning, model.": lambda s: lightning("model.", s),
    "Lightning, net.": lambda s: lightning("net.", s),
    "Lightning, compiled": lambda s: lightning("model._orig_mod.", s),
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.3, "optimizer_state_dict": {"state": {}}},
    "composer": lambda s: {"state": {"model": under("module.", s), "timestamp": {"epoch": 2}}, "rng": []},
    "model_ema, averaged": lambda s: {
        "model": spoilt(s),
        "model_ema": under("module.", s) | {"n_averaged": torch.tensor(4)},
    },
    "ours, averaged": lambda s: {
        "state_dict": under("model.", spoilt(s)),
        "ema": dict(s),
        "trainyard": {"config": {"model": {"depth": 18}}},
    },
    "only averaged": lambda s: {"ema_state_dict": s},
    "teacher": lambda s: {"student": under("module.backbone.", spoilt(s)), "teacher": under("backbone.", s)},
    "half": lambda s: {n: t.half() if t.is_floating_point() else t for n, t in s.items()},
    "bfloat16": lambda s: {n: t.bfloat16() if t.is_floating_point() else t for n, t in s.items()},
    "double": lambda s: {n: t.double() if t.is_floating_point() else t for n, t in s.items()},
    "channels_last": lambda s: {
        n: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for n, t in s.items()
    },
    "parameters": lambda s: {n: nn.Parameter(t) if t.is_floating_point() else t for n, t in s.items()},
    "no counters": lambda s: {n: t for n, t in s.items() if not n.endswith("num_batches_tracked")},
    "odd things beside": lambda s: {
        "net": s,
        "best_acc": np.float32(0.7),
        "path": pathlib.PurePosixPath("/data/imagenet"),
        "when": datetime.datetime(2024, 5, 1),
        "cfg": OmegaConf.create({"a": [1, 2]}),
        "log": [np.arange(3), {"x": None}],
        "seen": {1, 2},
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    },
}


def check(path: pathlib.Path, donor: ResNet, tolerance: float = 0.0, classes: int = 5) -> ResNet:
    net = make(classes)
    load_weights(net, path, RESNET_CLASSIFIER)
    for (name, mine), theirs in zip(net.state_dict().items(), donor.state_dict().values(), strict=True):
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=0, msg=name)
    return net


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_loads_whole(layout, tmp_path, donor):
    torch.save(LAYOUTS[layout](donor.state_dict()), tmp_path / "weights.pth.tar")
    check(tmp_path / "weights.pth.tar", donor, {"half": 1e-3, "bfloat16": 1e-2}.get(layout, 0.0))


@pytest.mark.parametrize("layout", ["bare", "state_dict of module.", "timm", "odd things beside"])
def test_the_format_of_old_files_loads(layout, tmp_path, donor):
    content = LAYOUTS[layout](donor.state_dict())
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    check(tmp_path / "old.pth", donor)


def test_optimizer_states_are_no_network(tmp_path, donor):
    torch.save(
        {"optimizer": sgd_state(copy.deepcopy(donor)), "model": donor.state_dict()}, tmp_path / "w.pth"
    )
    check(tmp_path / "w.pth", donor)


def test_safetensors_and_arrays_load(tmp_path, donor):
    state = {name: tensor.clone() for name, tensor in donor.state_dict().items()}
    save_file(under("model.", state), tmp_path / "w.safetensors")
    save_file(state, tmp_path / "no_suffix_that_says_so.bin")
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    for name in ("w.safetensors", "no_suffix_that_says_so.bin", "w.npz"):
        check(tmp_path / name, donor)


def test_a_whole_pickled_module_loads_without_running_it(tmp_path, donor):
    torch.save(donor, tmp_path / "module.pth")
    torch.save({"model": nn.DataParallel(donor)}, tmp_path / "parallel.pth")
    check(tmp_path / "module.pth", donor)
    check(tmp_path / "parallel.pth", donor)


def test_a_run_folder_gives_its_best(tmp_path, donor):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    torch.save(
        {"state_dict": under("model.", spoilt(donor.state_dict()))}, tmp_path / "run/checkpoints/last.ckpt"
    )
    torch.save({"state_dict": under("model.", donor.state_dict())}, tmp_path / "run/checkpoints/best.ckpt")
    check(tmp_path / "run", donor)


def test_no_classifier_or_another_one_stays_fresh_and_is_named(tmp_path, donor, caplog):
    bare = donor.state_dict()
    torch.save({n: t for n, t in bare.items() if not n.startswith("fc.")}, tmp_path / "none.pth")
    torch.save(moco(bare), tmp_path / "moco.pth")
    torch.save({"state_dict": moco(bare)}, tmp_path / "moco_in_state_dict.pth")
    torch.save(bare, tmp_path / "other.pth")
    for name, classes in (("none", 5), ("moco", 5), ("moco_in_state_dict", 5), ("other", 9)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            net = check(tmp_path / f"{name}.pth", donor, classes=classes)
        assert f"left fresh: fc.weight ({classes}, 64), fc.bias ({classes},)" in caplog.text
        assert net.fc.weight.shape == (classes, 64)


def test_which_weights_were_taken_is_said(tmp_path, donor, caplog):
    torch.save(LAYOUTS["timm"](donor.state_dict()), tmp_path / "timm.pth")
    with caplog.at_level(logging.INFO):
        check(tmp_path / "timm.pth", donor)
    assert "(state_dict), the averaged ones (state_dict_ema)" in caplog.text
    torch.save(moco(donor.state_dict()), tmp_path / "moco.pth")
    with caplog.at_level(logging.INFO):
        check(tmp_path / "moco.pth", donor)
    assert "(module.encoder_q)" in caplog.text and "not taken: module.encoder_k" in caplog.text


WRONG = {
    "deeper": (lambda: make(depth=34).state_dict(), "layer1.2.conv1.weight"),
    "shallower": (
        lambda: {n: t for n, t in make().state_dict().items() if "layer4" not in n},
        "not in the file",
    ),
    "wider": (
        lambda: make(width=16).state_dict(),
        "of another shape ((16, 3, 7, 7) in the file, (8, 3, 7, 7) here)",
    ),
    "another kind": (lambda: nn.Sequential(nn.Linear(3, 3)).state_dict(), "no tensor of"),
    "bottlenecks": (lambda: make(depth=50).state_dict(), "of another network"),
    "one lacks": (
        lambda: {n: t for n, t in make().state_dict().items() if n != "bn1.running_var"},
        "bn1.running_var",
    ),
    "no tensors": (lambda: {"lr": 0.1, "epoch": 3}, "holds no tensors"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_refused_with_the_true_reason(kind, tmp_path):
    content, reason = WRONG[kind]
    torch.save(content(), tmp_path / "w.pth")
    net = make()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(UserError) as caught:
        load_weights(net, tmp_path / "w.pth", RESNET_CLASSIFIER)
    assert reason in str(caught.value) and "(model.weights)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 9, b"<html>Not found</html>", b"PK\x03\x04 cut", b"\x80\x04."]
)
def test_what_is_no_weights_file_is_named(content, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match="cannot read"):
        load_weights(make(), tmp_path / "w.pth")


def test_a_file_cut_short_is_refused(tmp_path, donor):
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / "cut.pth").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match=r"cut short|damaged"):
            load_weights(make(), tmp_path / "cut.pth", RESNET_CLASSIFIER)


def test_nothing_in_a_pickle_is_called(tmp_path, donor):
    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "called",)

    torch.save({"state_dict": donor.state_dict(), "evil": Evil()}, tmp_path / "evil.pth")
    check(tmp_path / "evil.pth", donor)
    assert not (tmp_path / "called").exists()
