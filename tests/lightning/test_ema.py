"""Averaged weights: what the average is, who sees it, and that it survives."""

import torch

from shared.lightning.callbacks.ema import EMA, weights
from tests.fit.small_run import fit


class Watch(EMA):
    """Recomputes the average by hand and notes the weights that validation sees."""

    def on_train_batch_end(self, trainer, task, *rest):
        if not hasattr(self, "expected"):
            self.expected = {name: tensor.clone() for name, tensor in self.average.items()}
        decay = min(self.decay, (1 + trainer.global_step) / (10 + trainer.global_step))
        for name, tensor in weights(task).items():
            self.expected[name] += (1 - decay) * (tensor - self.expected[name])
        super().on_train_batch_end(trainer, task, *rest)

    def on_validation_start(self, trainer, task):
        self.before = {name: tensor.clone() for name, tensor in weights(task).items()}
        super().on_validation_start(trainer, task)
        self.seen = {name: tensor.clone() for name, tensor in weights(task).items()}


def test_the_average_is_the_recurrence_and_only_validation_sees_it(tmp_path):
    ema = Watch(0.9)
    task = fit(tmp_path, callbacks=[ema])
    for name, tensor in ema.average.items():
        torch.testing.assert_close(tensor, ema.expected[name])
        assert torch.equal(ema.seen[name], tensor)
    trained = weights(task)
    assert all(torch.equal(ema.before[name], trained[name]) for name in trained)
    assert any(not torch.equal(ema.seen[name], trained[name]) for name in trained)


def test_training_is_the_same_with_and_without_it(tmp_path):
    plain, averaged = fit(tmp_path / "a"), fit(tmp_path / "b", callbacks=[EMA(0.9)])
    for one, other in zip(plain.parameters(), averaged.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_holds_both_and_gives_the_average_back(tmp_path):
    ema = EMA(0.9)
    task = fit(tmp_path / "a", callbacks=[ema])
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    for name, tensor in weights(task).items():
        assert torch.equal(saved["state_dict"][f"model.{name}"], tensor)
        assert torch.equal(saved["ema"][name], ema.average[name])
    whole, again = EMA(0.9), EMA(0.9)
    fit(tmp_path / "b", callbacks=[whole], epochs=3)
    fit(tmp_path / "c", callbacks=[EMA(0.9)], epochs=3, trainer={"limit_train_batches": 1.0})
    fit(tmp_path / "c", callbacks=[again], epochs=3, resume=tmp_path / "c" / "checkpoints" / "previous.ckpt")
    assert all(torch.equal(again.average[name], whole.average[name]) for name in whole.average)
