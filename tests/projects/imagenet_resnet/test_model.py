"""Weights files: official ones and our checkpoints load, anything else is refused by name."""

import logging
import pickle

import pytest
import torch

from projects.imagenet_resnet.model import resnet
from shared.errors import UserError
from shared.nets.weights import load_weights


def same(first, second, keys):
    return all(torch.equal(first.state_dict()[key], second.state_dict()[key]) for key in keys)


@pytest.fixture
def donor():
    torch.manual_seed(1)
    return resnet(18, num_classes=5)


@pytest.mark.parametrize("blurpool", [False, True])
def test_official_state_dict_loads_completely(tmp_path, donor, blurpool):
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    model = resnet(18, num_classes=5, blurpool=blurpool, weights=str(tmp_path / "w.pth"))
    assert same(model, donor, donor.state_dict())


def test_official_file_of_the_first_format_loads(tmp_path, donor):
    old = {k: v for k, v in donor.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert same(resnet(18, num_classes=5, weights=str(tmp_path / "w.pth")), donor, old)


def test_our_checkpoint_loads(tmp_path, donor):
    state = {f"model.{key}": value for key, value in donor.state_dict().items()}
    torch.save({"state_dict": {**state, "mixup.lam": torch.ones(1)}, "epoch": 3}, tmp_path / "last.ckpt")
    model = resnet(18, num_classes=5, weights=str(tmp_path / "last.ckpt"))
    assert same(model, donor, donor.state_dict())


def test_of_a_checkpoint_with_averaged_weights_the_average_is_taken(tmp_path, donor):
    state = {f"model.{key}": torch.zeros_like(value) for key, value in donor.state_dict().items()}
    average = {key: value for key, value in donor.state_dict().items() if value.is_floating_point()}
    torch.save({"state_dict": state, "ema": average}, tmp_path / "best.ckpt")
    assert same(resnet(18, num_classes=5, weights=str(tmp_path / "best.ckpt")), donor, average)


def test_classifier_of_other_classes_stays_fresh_and_is_named(tmp_path, donor, caplog):
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    with caplog.at_level(logging.INFO):
        model = resnet(18, num_classes=9, weights=str(tmp_path / "w.pth"))
    assert model.fc.weight.shape == (9, 512)
    assert same(model, donor, donor.state_dict().keys() - {"fc.weight", "fc.bias"})
    assert "loaded 120 tensors" in caplog.text
    assert "left fresh: fc.weight (9, 512), fc.bias (9,)" in caplog.text


class Evil:
    def __reduce__(self):
        return print, ("arbitrary code ran",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_unfit_files_are_refused_naming_the_key(tmp_path, donor, capsys):
    torch.save({**donor.state_dict(), "layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)}, tmp_path / "34.pth")
    torch.save({"lr": 0.1}, tmp_path / "no_tensors.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("weights, honestly")
    torch.save(donor.state_dict(), tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:100_000])
    for name in (
        "34.pth",
        "nowhere.pth",
        "no_tensors.pth",
        "list.pth",
        "evil.pth",
        "empty.pth",
        "text.pth",
        "cut.pth",
    ):
        with pytest.raises(UserError) as caught:
            load_weights(donor, tmp_path / name)
        assert caught.value.where == "model.weights" and name in caught.value.what
    assert "arbitrary code ran" not in capsys.readouterr().out


def test_unknown_depth_is_refused():
    with pytest.raises(UserError, match=r"model\.depth"):
        resnet(52)
