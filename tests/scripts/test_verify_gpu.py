"""verify_gpu: its references are right, its checks see wrong results, and each machine gets a verdict."""

import importlib.util
import json
import os
import sys

import numpy as np
import pytest
import torch

from shared.verify import checks
from tests.conftest import ROOT


@pytest.fixture
def verify(capsys, monkeypatch):
    """The script as a module, and `verify(...)`: exit code, stdout and stderr, in this process."""
    spec = importlib.util.spec_from_file_location("script_verify_gpu", ROOT / "scripts" / "verify_gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["verify_gpu.py", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            module.main(module.parser(), module.run)
        streams = capsys.readouterr()
        return end.value.code, streams.out, streams.err

    run.module = module
    return run


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """`driver(line)`: an nvidia-smi that answers so; `driver(None)`: none."""

    def install(line):
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}" if line else str(tmp_path))
        if line:
            (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\necho "{line}"\n')
            (tmp_path / "nvidia-smi").chmod(0o755)

    return install


def test_without_a_gpu_the_verdict_says_so_and_what_to_do(verify, driver):
    driver(None)
    code, out, _ = verify()
    assert code == 1 and "Traceback" not in out
    assert out.splitlines()[-1].startswith("verdict: not ready: no NVIDIA GPU here; install NVIDIA's driver")


def test_the_same_computations_pass_on_the_processor(verify):
    code, out, _ = verify("--device", "cpu", "--fast", "--json")
    found = {each["name"]: each["ok"] for each in json.loads(out)["checks"]}
    assert code == 0
    assert all(found[name] for name in ("matmul", "convolution", "CTC", "bf16", "gloo"))
    assert all(found.get(name, True) for name in ("Paddle matmul", "Paddle convolution", "Paddle CTC"))


def test_a_card_that_torch_cannot_use_is_not_ready(verify, driver):
    if torch.cuda.is_available():
        pytest.skip("torch can use this machine's card")
    driver("NVIDIA GeForce RTX 5090, 32607, 12.0, 581.60")
    code, out, _ = verify("--fast")
    assert code == 1 and "sm_120, driver 581.60" in out
    assert "torch" in out and "sees no GPU" in out and "-> use the container image" in out
    last = out.splitlines()[-1]
    assert "not ready: NVIDIA GeForce RTX 5090: build" in last and "nvcr.io/nvidia/pytorch:26.09-py3" in last


def test_a_crash_is_a_failure_with_a_way_out(verify, monkeypatch):
    monkeypatch.setitem(verify.module.FRAMEWORKS, "nonesuch", ("json", "gpu"))
    results = verify.module.check("nonesuch", "cpu", False)
    assert [result.ok for result in results] == [False] and "code 1" in results[0].detail and results[0].mend
    monkeypatch.setitem(verify.module.FRAMEWORKS, "missing", ("no_such_package", "gpu"))
    assert verify.module.check("missing", "gpu", False)[0].ok is None


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 0), ["sm_75", "sm_80", "sm_120"], True),
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_90", "compute_120"], True),
        ((9, 0), ["sm_90a"], True),
        ((8, 0), ["compute_90"], False),
        ((8, 0), [], False),
    ],
)
def test_architectures(capability, architectures, runs):
    assert checks.supports(capability, architectures) is runs


def test_drivers():
    assert checks.driver_enough("580.82.07", "13.0", (8, 0)) == 580
    assert checks.driver_enough("535.104", "12.6", (8, 0)) == 525
    for driver, cuda, capability in (("570.1", "13.0", (8, 0)), ("565.5", "12.8", (12, 0))):
        with pytest.raises(ValueError, match="older than"):
            checks.driver_enough(driver, cuda, capability)


def test_wrong_and_broken_results_are_seen():
    a, b, expected = checks.matmul_case()
    assert "off by" in checks.close(a @ b, expected, 1e-5)
    for wrong in (a @ b * 1.001, np.full_like(a @ b, np.nan)):
        with pytest.raises(ValueError, match="wrong results"):
            checks.close(wrong, expected, 1e-5)


def test_the_ctc_reference_is_right():
    logits, labels, value, gradient = checks.ctc_case()
    given = torch.from_numpy(logits).double().requires_grad_()
    frames, length = (torch.full((checks.SAMPLES,), n) for n in (checks.FRAMES, checks.LENGTH))
    loss = torch.nn.functional.ctc_loss(
        given.log_softmax(2), torch.from_numpy(labels), frames, length, reduction="sum"
    )
    loss.backward()
    assert np.isclose(loss.item(), value[0], rtol=1e-9)
    assert np.allclose(given.grad.numpy(), gradient, atol=1e-4)
    repeated = np.array([[2, 2, 3, 3, 3]])
    loss = torch.nn.functional.ctc_loss(
        given[:, :1].log_softmax(2), torch.from_numpy(repeated), frames[:1], length[:1], reduction="sum"
    )
    assert np.isclose(loss.item(), checks.ctc_loss(logits[:, :1].astype(float), repeated), rtol=1e-9)
