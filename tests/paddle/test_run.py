"""The rails on Paddle: exact resume, the guard, micro batches, running out of memory."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle.amp.auto_cast import amp_global_state

from shared.checkpoints.file import load_weights, read
from shared.errors import StoppedNonFinite
from shared.paddle.callbacks.ema import EMA, weights
from shared.policy.batching import Batching
from shared.processes.interruption import Interrupted
from tests.paddle.paddle_run import STEPS, Points, Regression, events, fit, network


class StopAfter:
    """Asks the run to end once `batches` have been trained or, with `validation`, in the first validation."""

    def __init__(self, batches, validation=False):
        self.left, self.validation = batches, validation

    def on_train_batch_end(self, trainer, task, out, batch, batch_idx):
        self.left -= 1
        if self.left == 0:
            task.rails.interruption.requested = 15

    def on_validation_start(self, trainer, task):
        if self.validation:
            task.rails.interruption.requested = 15


def same(one, other):
    left, right = read(one), read(other)
    for part in ("state_dict", "optimizer", "ema"):
        assert left[part].keys() == right[part].keys() and left[part]
        assert [key for key in left[part] if not np.array_equal(left[part][key], right[part][key])] == []


def rows(folder):
    text = (folder / "metrics.csv").read_text().splitlines()
    keep = [i for i, name in enumerate(text[0].split(",")) if not name.startswith("time/")]
    return [[line.split(",")[i] for i in keep] for line in text]


@pytest.mark.parametrize("stop", [1, STEPS - 1, STEPS, STEPS + 2, "validation"])
def test_a_run_goes_on_bit_for_bit_from_wherever_it_was_stopped(tmp_path, stop):
    fit(tmp_path / "whole", callbacks=[EMA(0.9)])
    after = StopAfter(0, validation=True) if stop == "validation" else StopAfter(stop)
    with pytest.raises(Interrupted):
        fit(tmp_path / "cut", callbacks=[EMA(0.9), after])
    last = tmp_path / "cut/checkpoints/last.ckpt"
    fit(tmp_path / "cut", callbacks=[EMA(0.9)], resume=last)
    same(tmp_path / "whole/checkpoints/last.ckpt", last)
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")


def test_workers_change_nothing(tmp_path):
    fit(tmp_path / "none", callbacks=[EMA(0.9)])
    fit(tmp_path / "two", callbacks=[EMA(0.9)], workers=2)
    same(tmp_path / "none/checkpoints/last.ckpt", tmp_path / "two/checkpoints/last.ckpt")


def test_a_poisoned_step_is_skipped_and_leaves_no_trace(tmp_path):
    task = fit(tmp_path, data=Points(spoiled=[7]), epochs=1)
    found = [each for each in events(tmp_path) if each["kind"] == "non_finite_skip"]
    assert len(found) == 1 and "samples 7" in found[0]["message"]
    assert task.trainer.global_step == STEPS - 1
    assert all(np.isfinite(tensor.numpy()).all() for tensor in task.state_dict().values())
    assert len(list((tmp_path / "nonfinite").glob("*.npz"))) == 1


def test_a_full_disk_costs_the_poisoned_batchs_file_alone(tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.paddle.callbacks.non_finite.np.savez", full)
    task = fit(tmp_path, data=Points(spoiled=[7]), epochs=1)
    assert task.trainer.global_step == STEPS - 1
    assert "No space left" in caplog.text and "kept as" not in events(tmp_path)[0]["message"]


def test_nan_without_end_rolls_back_twice_and_gives_up(tmp_path):
    with pytest.raises(StoppedNonFinite):
        fit(tmp_path, data=Points(spoiled=range(48)), epochs=3)
    kinds = [each["kind"] for each in events(tmp_path)]
    assert kinds.count("non_finite_rollback") == 2 and kinds[-1] == "non_finite_abort"


def test_micro_batches_make_the_same_step(tmp_path):
    nets = [Regression(network(norm=False, dropout=0.0)) for _ in range(2)]
    fit(tmp_path / "whole", task=nets[0], epochs=1)
    fit(tmp_path / "cut", task=nets[1], epochs=1, batching=Batching(8, micro_limit=3))
    for one, other in zip(*(net.model.parameters() for net in nets), strict=True):
        assert np.allclose(one.numpy(), other.numpy(), atol=1e-5)


@pytest.fixture
def scaler(monkeypatch):
    """A loss scaler as fp16 has it, which Paddle makes on GPUs only."""
    gpu = SimpleNamespace(_expected_place=SimpleNamespace(is_gpu_place=lambda: True))
    with monkeypatch.context() as pretended:
        pretended.setattr("paddle.amp.grad_scaler._dygraph_tracer", lambda: gpu)
        made = paddle.amp.GradScaler(enable=True, init_loss_scaling=64.0)
    monkeypatch.setattr("paddle.amp.GradScaler", lambda enable: made)
    monkeypatch.setattr(amp_global_state(), "amp_dtype", "float16")
    return made


def test_a_poisoned_step_is_skipped_with_a_loss_scale_too(tmp_path, scaler):
    task = fit(tmp_path, data=Points(spoiled=[7]), epochs=2)
    assert scaler.is_enable() and float(scaler.state_dict()["scale"]) == 64.0
    assert [each["kind"] for each in events(tmp_path)].count("non_finite_skip") == 2
    assert task.trainer.global_step == 2 * (STEPS - 1)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in task.state_dict().values())


class Narrow(Regression):
    """Fits three samples into memory, as far as anybody can tell."""

    def loss(self, batch):
        if len(batch["x"]) > 3 and self.model.training:
            raise RuntimeError("(ResourceExhausted) Out of memory error on GPU 0")
        return super().loss(batch)


@pytest.mark.parametrize("auto", [False, True])
def test_out_of_memory_is_answered_by_cutting_finer(tmp_path, auto):
    task = fit(tmp_path, task=Narrow(network(norm=False)), epochs=1, probe_memory=auto)
    assert task.rails.batching.micro == (3 if auto else 2) and task.trainer.global_step == STEPS
    assert events(tmp_path)[0]["kind"] == ("micro_batch" if auto else "out_of_memory")


def test_the_gradient_is_clipped(tmp_path):
    paddle.seed(1)
    task = fit(tmp_path, epochs=1, clip_norm=1e-3, optimizer=sgd)
    start = network()
    pairs = zip(start.parameters(), task.model.parameters(), strict=True)
    moved = sum(float((a - b).square().sum()) for a, b in pairs if not a.stop_gradient) ** 0.5
    assert 0 < moved <= 0.05 * 1e-3 * STEPS * 1.001


def sgd(groups):
    return paddle.optimizer.SGD(0.05, [parameter for group in groups for parameter in group["params"]])


def test_averaged_weights_begin_another_run(tmp_path):
    fit(tmp_path, epochs=1, callbacks=[EMA(0.5)])
    saved = read(path := tmp_path / "checkpoints/best.ckpt")
    load_weights(task := Regression(network()), path)
    assert all(np.array_equal(task.state_dict()[name].numpy(), value) for name, value in saved["ema"].items())


def test_a_checkpoint_from_before_the_average_gives_its_weights(tmp_path):
    task, ema = fit(tmp_path, epochs=1), EMA(0.5)
    ema.average = {name: paddle.zeros_like(tensor) for name, tensor in weights(task).items()}
    ema.roll_back(saved := read(tmp_path / "checkpoints/last.ckpt"))
    assert all(np.array_equal(ema.average[name].numpy(), saved["state_dict"][name]) for name in ema.average)


def test_averaged_weights_are_what_is_validated(tmp_path):
    task = fit(tmp_path, epochs=1, callbacks=[EMA(0.5)])
    saved = read(tmp_path / "checkpoints/best.ckpt")
    own = {name: tensor.numpy() for name, tensor in task.state_dict().items()}
    assert all(np.array_equal(saved["state_dict"][name], own[name]) for name in own)
    assert any(not np.array_equal(saved["ema"][name], own[name]) for name in own)
