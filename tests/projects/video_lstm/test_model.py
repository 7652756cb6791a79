"""Sizes, time and no time, the backbone's weights, recomputed activations."""

import pytest
import torch

from projects.video_lstm.model import VideoLSTM, count, video_lstm
from shared.errors import UserError
from shared.nets.resnet import ResNet

SMALL = {"width": 4, "spatial": 8, "temporal": 6, "attention": 4}


@pytest.fixture
def clip():
    return torch.randn(2, 5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_preset_has_the_total_of_the_notes():
    with torch.device("meta"):
        model = VideoLSTM(100, attention_heads=8)
    parts = {name: count(part) for name, part in model.named_children()}
    assert parts["backbone"] == 11_176_512 and parts["sequence"] == 16_801_792
    assert sum(parts.values()) == 33_219_694


def test_parameters_are_said_part_by_part(caplog):
    caplog.set_level("INFO")
    video_lstm(7, **SMALL)
    assert "backbone 44,772" in caplog.text and "heads 189" in caplog.text


@pytest.mark.parametrize("options", [{}, {"attention_heads": 2}, {"recurrent": False}, {"depth": 50}])
def test_every_parameter_learns(clip, options):
    model = VideoLSTM(7, **SMALL, **options)
    logits = model(clip)
    assert [each.shape for each in logits] == [(2, 7)] * 3
    sum(each.logsumexp(1).sum() for each in logits).backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []


@pytest.mark.parametrize("attention_heads", [0, 2])
def test_only_the_recurrent_network_reads_the_order(clip, attention_heads):
    order = torch.tensor([4, 1, 3, 0, 2])
    for recurrent in (True, False):
        torch.manual_seed(0)
        model = VideoLSTM(7, **SMALL, attention_heads=attention_heads, recurrent=recurrent).eval()
        plain, mixed = model(clip), model(clip[:, order])
        torch.testing.assert_close(plain.spatial, mixed.spatial)
        assert torch.allclose(plain.combined, mixed.combined, atol=1e-6) != recurrent


@pytest.mark.parametrize("sizes", [{}, SMALL, {"width": 16, "spatial": 128, "temporal": 128}])
def test_the_network_without_time_is_of_the_same_size(sizes):
    with torch.device("meta"):
        recurrent, single = (count(VideoLSTM(100, **sizes, recurrent=each)) for each in (True, False))
    assert abs(recurrent - single) <= 0.005 * recurrent


def test_official_weights_go_into_the_backbone(tmp_path):
    donor = ResNet(18, 1000)
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    model = video_lstm(7, weights=str(tmp_path / "resnet18.pth"), spatial=8, temporal=6)
    backbone = model.backbone.state_dict()
    assert all(
        torch.equal(backbone[name], tensor) for name, tensor in donor.state_dict().items() if name[:2] != "fc"
    )
    assert not any(name.startswith("fc") for name in backbone)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(ResNet(34).state_dict(), tmp_path / "34.pth")
    with pytest.raises(UserError, match=r"model\.weights"):
        video_lstm(7, weights=str(tmp_path / "34.pth"), spatial=8, temporal=6)
    with pytest.raises(UserError, match=r"model\.depth"):
        video_lstm(7, depth=19)


def test_recomputed_activations_change_nothing_but_memory(clip):
    """Loss, gradients and BatchNorm's running statistics, which a second computation would move twice."""
    outcomes = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = VideoLSTM(7, **SMALL, checkpointing=checkpointing)
        loss = model(clip).combined.logsumexp(1).sum()
        loss.backward()
        outcomes.append([loss, *(p.grad for p in model.parameters()), *model.buffers()])
    for plain, recomputed in zip(*outcomes, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=0, atol=0)


def test_recomputed_activations_are_not_kept(clip):
    kept = {}
    for checkpointing in (False, True):
        model, sizes = VideoLSTM(7, **SMALL, checkpointing=checkpointing), []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t
        ):
            model.backbone.features(clip.flatten(0, 1))
        kept[checkpointing] = sum(sizes)
    assert kept[True] < kept[False] / 3
