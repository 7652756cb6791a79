"""The networks load official weights: keys, shapes and counts are those of torchvision."""

import pytest
import torch

from shared.nets.resnet import STAGES, BlurPool2d, ResNet

PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160}


def official_keys(depth: int) -> set[str]:
    """Key names of the official state dict, by the rule the field uses."""
    batch_norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    convs = 2 if depth < 50 else 3
    repeats = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    keys = {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{name}" for name in batch_norm}
    for stage, count in enumerate(repeats, start=1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            for number in range(1, convs + 1):
                keys.add(f"{prefix}.conv{number}.weight")
                keys |= {f"{prefix}.bn{number}.{name}" for name in batch_norm}
            if block == 0 and (stage > 1 or convs == 3):
                keys.add(f"{prefix}.downsample.0.weight")
                keys |= {f"{prefix}.downsample.1.{name}" for name in batch_norm}
    return keys


@pytest.mark.parametrize("blurpool", [False, True])
@pytest.mark.parametrize("depth", STAGES)
def test_keys_and_parameter_counts_are_official(depth, blurpool):
    with torch.device("meta"):
        model = ResNet(depth, blurpool=blurpool)
    assert set(model.state_dict()) == official_keys(depth)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[depth]


@pytest.mark.parametrize("blurpool", [False, True])
def test_shapes_are_official(blurpool):
    with torch.device("meta"):
        shapes = {
            key: tuple(value.shape) for key, value in ResNet(50, blurpool=blurpool).state_dict().items()
        }
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer2.0.conv1.weight"] == (128, 256, 1, 1)
    assert shapes["layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["layer4.0.downsample.1.running_mean"] == (2048,)
    assert shapes["fc.weight"] == (1000, 2048)


def test_the_stride_of_a_bottleneck_is_on_its_3x3_convolution():
    block = ResNet(50).layer2[0]
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)


@pytest.mark.parametrize("blurpool", [False, True])
@pytest.mark.parametrize("depth, features", [(18, 512), (50, 2048)])
@pytest.mark.parametrize("size", [32, 65])
def test_forward_and_pooled_features(depth, features, size, blurpool):
    model = ResNet(depth, num_classes=7, blurpool=blurpool).eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        pooled = model.features(images)
        assert pooled.shape == (2, features) == (2, model.feature_dim)
        torch.testing.assert_close(model(images), model.fc(pooled))


def test_blurpool_halves_every_stage_like_the_plain_network():
    images = torch.randn(1, 3, 64, 64)
    plain, blurred = ResNet(18).eval(), ResNet(18, blurpool=True).eval()
    blurred.load_state_dict(plain.state_dict())
    shapes = {}
    for name, model in (("plain", plain), ("blurred", blurred)):
        sizes = shapes.setdefault(name, [])
        for stage in (model.maxpool, model.layer1, model.layer2, model.layer3, model.layer4):
            stage.register_forward_hook(lambda _m, _i, out, sizes=sizes: sizes.append(out.shape))
        with torch.no_grad():
            model(images)
    assert shapes["plain"] == shapes["blurred"]
    assert shapes["plain"][-1] == (1, 512, 2, 2)


def test_blur_keeps_a_constant_and_removes_the_highest_frequency():
    blur = BlurPool2d(1, stride=1)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(blur(torch.ones(1, 1, 6, 6))[inside], torch.ones(1, 1, 4, 4))
    checkers = (torch.arange(6)[:, None] + torch.arange(6)).remainder(2).mul(2.0).sub(1)
    torch.testing.assert_close(blur(checkers[None, None])[inside], torch.zeros(1, 1, 4, 4))


def test_zero_init_makes_every_residual_block_start_as_its_shortcut():
    torch.manual_seed(0)
    model = ResNet(50, zero_init_residual=True)
    block = model.layer1[1]  # no projection: the shortcut is the identity
    x = torch.rand(2, 256, 4, 4)
    torch.testing.assert_close(block(x), x)
    assert not torch.allclose(ResNet(50).layer1[1](x), x)
