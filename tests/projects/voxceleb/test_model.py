"""Parity of ResNetSE34V2 with the published network; weights files in the layouts that people have."""

import json
from pathlib import Path

import pytest
import torch

from projects.voxceleb.ecapa import EcapaTdnn
from projects.voxceleb.model import ResNetSE34V2
from shared.errors import UserError

REFERENCE = json.loads((Path(__file__).parent / "resnetse34v2.json").read_text())
SHAPES = REFERENCE["output_shapes_for_wave_(2,32240)"]


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return ResNetSE34V2().eval()


def test_state_dict_is_the_published_one(published):
    own = {
        name: (list(t.shape), str(t.dtype).removeprefix("torch."))
        for name, t in published.state_dict().items()
    }
    assert own == {row["key"]: (row["shape"], row["dtype"]) for row in REFERENCE["state_dict"]}
    trained = {name for name, _ in published.named_parameters()}
    assert trained == {row["key"] for row in REFERENCE["state_dict"] if row["param"]}


def test_parameters_by_stage_and_variant(published):
    assert parameters(published) == REFERENCE["total_params"] == 8_028_492
    for stage, count in REFERENCE["params_by_stage"].items():
        assert parameters(getattr(published, stage)) == count
    for variant, count in REFERENCE["param_count_variants"].items():
        pooling, mels, embedding = variant.split("_")
        with torch.device("meta"):
            assert parameters(ResNetSE34V2(int(mels[3:]), int(embedding[4:]), pooling)) == count


def test_shapes_by_stage(published):
    seen = {}
    hooks = [
        getattr(published, stage).register_forward_hook(
            lambda m, i, out, stage=stage: seen.update({stage: list(out.shape)})
        )
        for stage in SHAPES
        if stage != "instancenorm"
    ]
    with torch.no_grad():
        published(torch.randn(2, REFERENCE["waveform_len_for_200_frames"]))
    for hook in hooks:
        hook.remove()
    assert seen == {stage: shape for stage, shape in SHAPES.items() if stage != "instancenorm"}


@pytest.mark.parametrize("prefix", ["", "__S__.", "module.__S__.", "model.embedder."])
def test_a_checkpoint_in_a_known_layout_loads_completely(tmp_path, prefix):
    donor = ResNetSE34V2(40, 32, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1))
    for tensor in donor.state_dict().values():
        tensor.uniform_(1, 2) if tensor.is_floating_point() else tensor.fill_(7)
    state = {prefix + name: tensor for name, tensor in donor.state_dict().items()}
    if prefix:
        state[prefix.replace("__S__", "__L__").replace("embedder", "head") + "weight"] = torch.ones(5, 32)
    torch.save({"state_dict": state} if prefix == "model.embedder." else state, tmp_path / "net.model")
    settings = {"n_mels": 40, "embedding": 32, "widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)}
    model = ResNetSE34V2(weights=str(tmp_path / "net.model"), **settings)
    assert all(torch.equal(donor.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    with pytest.raises(UserError, match=r"model\.weights"):
        ResNetSE34V2(weights=str(tmp_path / "net.model"), **{**settings, "embedding": 16})


def test_of_a_checkpoint_with_averaged_weights_the_average_is_taken(tmp_path):
    settings = {"n_mels": 40, "embedding": 32, "widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)}
    donor = ResNetSE34V2(**settings).state_dict()
    average = {name: tensor for name, tensor in donor.items() if tensor.is_floating_point()}
    saved = {f"model.embedder.{name}": torch.zeros_like(tensor) for name, tensor in donor.items()}
    named = {f"embedder.{name}": tensor for name, tensor in average.items()}
    torch.save({"state_dict": saved, "ema": named}, tmp_path / "best.ckpt")
    loaded = ResNetSE34V2(weights=str(tmp_path / "best.ckpt"), **settings).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in average.items())


def test_unsafe_and_missing_files_are_refused(tmp_path):
    torch.save({"net": print}, tmp_path / "evil.pth")
    torch.save({"lr": 0.1}, tmp_path / "no_tensors.pth")
    for name in ("evil.pth", "no_tensors.pth", "nowhere.pth"):
        with pytest.raises(UserError, match=r"model\.weights"):
            ResNetSE34V2(weights=str(tmp_path / name))


def test_unknown_pooling_and_odd_sizes_are_refused():
    with pytest.raises(UserError, match="ASP or SAP"):
        ResNetSE34V2(pooling="max")
    with pytest.raises(UserError, match="multiples of 8"):
        ResNetSE34V2(n_mels=60)


@pytest.mark.parametrize(
    "network", [lambda: ResNetSE34V2(40, 32, widths=(8, 8, 16, 16)), lambda: EcapaTdnn(40, 32, 64)]
)
@pytest.mark.parametrize("kind", ["silence", "dc", "clipped", "quiet"])
def test_odd_sound_keeps_gradients_and_buffers_finite(network, kind):
    torch.manual_seed(0)
    model, noise = network(), torch.randn(2, 8000)
    wave = {
        "silence": torch.zeros(2, 8000),
        "dc": torch.full((2, 8000), 0.5),
        "clipped": noise.mul(100).clamp(-1, 1),
        "quiet": noise * 1e-20,
    }[kind]
    model(wave).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert all(buffer.isfinite().all() for buffer in model.buffers())


def test_ecapa_has_its_published_size():
    with torch.device("meta"):
        assert 6.1e6 < parameters(EcapaTdnn(channels=512)) < 6.3e6
        assert 14.6e6 < parameters(EcapaTdnn(channels=1024)) < 14.8e6
