"""hardware=auto asks the driver; every key of a profile is read; what a profile asks of torch is done."""

import re
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from shared.config import gpus
from shared.config.gpus import Gpu, first_gpu, profile_of
from shared.lightning.hardware import describe, limit_memory, optimizer_arguments, prepare_model
from tests.conf.test_compose import CONF, HARDWARE, ROOT, compose


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """`nvidia_smi(line, code)`: a driver that answers so, and keeps how it was asked."""

    def install(line, code=0):
        script = tmp_path / "nvidia-smi"
        script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "{line}"\nexit {code}\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        gpus.detected_profile.cache_clear()
        return tmp_path / "asked"

    yield install
    gpus.detected_profile.cache_clear()


CARDS = {
    "NVIDIA A100-SXM4-80GB, 81920, 8.0, 580.82.07": "a100",
    "NVIDIA A100-PCIE-40GB, 40960, 8.0, 535.104.05": "a100_40",
    "NVIDIA H200, 143771, 9.0, 580.82.07": "h200",
    "NVIDIA GeForce RTX 5090, 32607, 12.0, 581.60": "rtx5090",
    "NVIDIA GeForce RTX 5090 Laptop GPU, 24463, 12.0, 581.60": "rtx5090_laptop",
    "NVIDIA L4, 23034, 8.9, 550.54": "default",
    "No devices were found": "default",
}


@pytest.mark.parametrize(("line", "profile"), CARDS.items())
def test_auto_is_the_profile_of_the_card(nvidia_smi, line, profile):
    nvidia_smi(line)
    cfg = compose("imagenet_resnet", "run_dir=/tmp/run")
    assert cfg == compose("imagenet_resnet", f"hardware={profile}", "run_dir=/tmp/run")


def test_a_chosen_profile_is_not_overruled(nvidia_smi):
    nvidia_smi(next(iter(CARDS)))
    assert compose("imagenet_resnet", "hardware=cpu").trainer.accelerator == "cpu"
    assert compose("imagenet_resnet", "hardware=auto").trainer.accelerator == "gpu"


def test_the_visible_card_is_asked_for(nvidia_smi, monkeypatch):
    asked = nvidia_smi(next(iter(CARDS)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-77,1")
    assert first_gpu() == Gpu("NVIDIA A100-SXM4-80GB", 81920, "8.0", "580.82.07")
    assert "-i GPU-77" in asked.read_text()


def test_without_a_driver_there_is_no_gpu(nvidia_smi, monkeypatch):
    nvidia_smi("NVIDIA-SMI has failed", code=9)
    assert first_gpu() is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert first_gpu() is None and profile_of(None) == "default"


def test_every_key_of_every_profile_is_read():
    files = [path for folder in ("shared", "scripts", "projects") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text() for path in files) + (CONF / "imagenet_resnet.yaml").read_text()
    keys = {key for name in HARDWARE for key in compose("imagenet_resnet", f"hardware={name}").hardware}
    assert [key for key in sorted(keys) if not re.search(rf"hardware\.{key}\b", code)] == []


def settings(**given):
    return OmegaConf.create(
        {"channels_last": False, "compile": False, "tf32": False, "fused": False, **given}
    )


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_set_for_products_and_convolutions_and_can_be_asked_for(tf32):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        prepare_model(nn.Linear(1, 1), settings(tf32=tf32))
        assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")  # Lightning asks this
        assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is tf32
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def test_layout_and_compilation():
    model = nn.Conv2d(3, 4, 3)
    names = list(model.state_dict())
    prepare_model(model, settings(channels_last=True))
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    wanted = []
    spy = SimpleNamespace(compile=lambda mode: wanted.append(mode))
    for mode in (False, True, "max-autotune"):
        prepare_model(spy, settings(compile=mode))
    assert wanted == ["default", "max-autotune"] and list(model.state_dict()) == names


def test_the_memory_limit_leaves_the_processor_alone():
    limit_memory(torch.device("cpu"), 0.5)
    assert "max-autotune" in describe(settings(compile="max-autotune"), torch.device("cpu"), "32-true")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_fused_reaches_every_optimizer(optimizer, tiny):
    assert optimizer_arguments(settings()) == {}
    ended = tiny(f"optimizer={optimizer}", "hardware.fused=true", "trainer.max_epochs=1")
    assert ended.code == 0, ended.err
    checkpoint = torch.load(ended.run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["fused"] is True
    assert "fused optimizer" in (ended.run_dir / "train.log").read_text()


@pytest.mark.slow
def test_a_compiled_model_trains(tiny):
    ended = tiny("hardware.compile=true", "trainer.max_epochs=1")
    assert ended.code == 0 and "compiled" in (ended.run_dir / "train.log").read_text()


@pytest.mark.gpu
def test_the_memory_limit_holds():
    limit_memory(torch.device("cuda:0"), 0.1)
    total = torch.cuda.get_device_properties(0).total_memory
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(total // 5, dtype=torch.uint8, device="cuda:0")
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
