"""The guard in real runs: nothing non-finite reaches the weights, and the culprit is named."""

import lightning
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision

from shared.errors import StoppedNonFinite
from shared.lightning.callbacks.ema import EMA, weights
from shared.lightning.callbacks.poison import Poison
from tests.conftest import rows
from tests.fit.small_run import GUARD, STEPS, Points, Regression, equal, events, fit, kinds, network


class Recorder(lightning.Callback):
    """Weights, buffers and moments after each batch."""

    def __init__(self):
        self.states, self.lrs = [], []

    def on_train_batch_end(self, trainer, task, out, batch, batch_idx):
        state = {name: tensor.clone() for name, tensor in task.state_dict().items()}
        for number, moments in enumerate(task.optimizers().state.values()):
            state |= {f"{name}{number}": value.clone() for name, value in moments.items()}
        self.states.append(state)
        self.lrs.append(task.lr)


def test_a_clean_run_is_the_same_with_and_without_the_guard(tmp_path):
    guarded, free = fit(tmp_path / "a"), fit(tmp_path / "b", guard=None)
    assert equal(guarded.state_dict(), free.state_dict())
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert kinds(tmp_path / "a") == []
    assert all(float(row["step/grad_norm"]) > 0 for row in rows(tmp_path / "a") if row["step/loss"])


def test_a_poisoned_batch_is_skipped_and_named(tmp_path):
    seen = Recorder()
    task = fit(tmp_path, data=Points(spoiled=[11]), epochs=1, callbacks=[seen])
    (event,) = events(tmp_path)
    assert event["kind"] == "non_finite_skip"
    assert "non-finite x, loss, gradient" in event["message"]
    assert "/data/point-11" in event["message"] and "point-12" not in event["message"]
    assert "the input of model.0" in event["message"]
    step = int(event["message"].split()[1].rstrip(":"))  # 1-based number of the batch
    assert equal(seen.states[step - 1], seen.states[step - 2] if step > 1 else seen.states[0])
    assert task.global_step == STEPS - 1
    assert seen.lrs[step - 1 : step + 1] == [seen.lrs[step - 1]] * 2  # the schedule waited
    assert all(tensor.isfinite().all() for tensor in task.state_dict().values())
    assert all(row["step/loss"] != "nan" for row in rows(tmp_path))
    assert len([row for row in rows(tmp_path) if row["step/loss"]]) == STEPS - 1


def test_a_full_disk_costs_the_culprits_file_alone(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.lightning.callbacks.non_finite.save", full)
    task = fit(tmp_path, data=Points(spoiled=[11]), epochs=1)
    assert task.global_step == STEPS - 1
    assert "No space left" in caplog.text and "kept as" not in events(tmp_path)[0]["message"]


def test_training_goes_on_as_if_the_batch_had_not_been(tmp_path):
    """Skipping the last batch leaves exactly what a run without it has."""
    seen, clean = Recorder(), Recorder()
    fit(tmp_path / "a", epochs=1, callbacks=[Poison([STEPS], "x"), seen])
    fit(tmp_path / "b", epochs=1, callbacks=[clean])
    assert equal(seen.states[-1], clean.states[-2])


class Fickle(Regression):
    """Its gradient is inf where its loss is not, in the given steps."""

    bad_steps = ()

    def loss(self, batch):
        loss, means = super().loss(batch)
        if self.trainer.training and self.trainer.fit_loop.total_batch_idx + 1 in self.bad_steps:
            zero = torch.zeros((), requires_grad=True) * self.model[0].weight.sum()
            loss = loss + torch.sqrt(zero.abs())  # d sqrt(x) / dx = inf at 0
        return loss, means


def test_a_non_finite_gradient_of_a_finite_loss_is_caught(tmp_path):
    task = Fickle(network())
    task.bad_steps = (3,)
    fit(tmp_path, task=task, epochs=1)
    (event,) = events(tmp_path)
    assert "non-finite gradient, step skipped" in event["message"]
    assert "first in the gradient of model.0.weight" in event["message"]
    assert all(tensor.isfinite().all() for tensor in task.state_dict().values())


@pytest.mark.parametrize("scale", [2.0**8, 2.0**24])
def test_an_overflow_of_the_loss_scale_is_no_alarm(tmp_path, scale):
    """fp16: the scale comes down step by step; the clipped norm and the logged one are those of the true gradient."""

    def train(name, **trainer):
        task, seen = Regression(network(dropout=0.0)), Recorder()
        fit(tmp_path / name, task=task, epochs=4, clip_norm=1.0, callbacks=[seen], trainer=trainer)
        assert ((seen.states[0]["model.1.running_mean"] == 0).all()) == (task.global_step < 4 * STEPS)
        return task, [float(row["step/grad_norm"]) for row in rows(tmp_path / name) if row["step/loss"]]

    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    half, norms = train("half", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    full, expected = train("full")
    assert kinds(tmp_path / "half") == []
    assert all(tensor.isfinite().all() for tensor in half.state_dict().values())
    if scale == 2.0**8:
        assert half.global_step == full.global_step
        assert norms[:3] == pytest.approx(expected[:3], rel=0.02)
    else:
        assert 0 < half.global_step < full.global_step and scaler.get_scale() < scale


def test_large_finite_inputs_are_no_alarm(tmp_path):
    """Their sum overflows; only a look at the elements tells."""
    data = Points()
    data.x[5] = 3e38

    class Clipped(Regression):
        def loss(self, batch):
            return super().loss({**batch, "x": batch["x"].clamp(-3, 3)})

    fit(tmp_path, task=Clipped(network()), data=data, epochs=1)
    assert kinds(tmp_path) == []


def test_after_three_in_a_row_back_to_the_checkpoint_with_half_the_lr(tmp_path):
    seen = Recorder()
    poison = Poison([STEPS + 2, STEPS + 3, STEPS + 4], "x")
    task = fit(tmp_path, callbacks=[poison, seen])
    assert kinds(tmp_path) == ["non_finite_skip", "non_finite_skip", "non_finite_rollback"]
    back = seen.states[STEPS + 3]
    assert equal(back, seen.states[STEPS - 1])  # the end of epoch 1
    assert not equal(back, seen.states[STEPS])
    schedule = task.rails.schedule
    assert seen.lrs[STEPS + 4 :] == pytest.approx(
        [0.5 * schedule.lr(STEPS + 1), 0.5 * schedule.lr(STEPS + 2)]
    )
    assert "lr_deviation" not in kinds(tmp_path)
    assert "LR x0.5" in events(tmp_path)[-1]["message"]


def test_the_averaged_weights_go_back_with_the_others(tmp_path):
    poison, seen = Poison([STEPS + 2, STEPS + 3, STEPS + 4], "x"), {}

    class Look(EMA):
        def on_train_batch_end(self, trainer, task, out, batch, batch_idx):
            super().on_train_batch_end(trainer, task, out, batch, batch_idx)
            seen[(trainer.current_epoch, batch_idx)] = {k: v.clone() for k, v in self.average.items()}

    fit(tmp_path, callbacks=[poison, Look(0.9)])
    assert equal(seen[1, 3], seen[0, STEPS - 1])
    assert not equal(seen[1, 2], seen[0, STEPS - 1])


def test_a_checkpoint_from_before_the_average_gives_its_weights(tmp_path):
    """A run that is extended with callbacks=ema may have to go back to one."""
    task, ema = fit(tmp_path, epochs=1), EMA(0.9)
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    ema.average = {name: torch.zeros_like(tensor) for name, tensor in weights(task).items()}
    ema.roll_back(saved)
    assert equal(ema.average, weights(task))


def test_in_the_first_epoch_back_to_the_very_beginning(tmp_path):
    task, seen = Regression(network()), Recorder()
    first = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    fit(tmp_path, task=task, callbacks=[Poison([2, 3, 4], "x"), seen], epochs=1)
    assert kinds(tmp_path)[-1] == "non_finite_rollback"
    assert equal(seen.states[3], first)


def test_after_the_last_rollback_it_gives_up(tmp_path):
    with pytest.raises(StoppedNonFinite, match="after 2 of 2 rollbacks"):
        fit(tmp_path, callbacks=[Poison(list(range(1, 100)), "x")], epochs=3)
    assert kinds(tmp_path).count("non_finite_rollback") == 2
    assert kinds(tmp_path)[-1] == "non_finite_abort"


def test_the_guards_memory_survives_a_resume(tmp_path):
    poison = [2, 3, 4, STEPS + 2]
    whole = fit(tmp_path / "a", callbacks=[Poison(poison, "x")], epochs=3)

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer, task, out, batch, batch_idx):
            if (trainer.current_epoch, batch_idx) == (1, 1):
                trainer.save_checkpoint(tmp_path / "b.ckpt", weights_only=False)
                raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        fit(tmp_path / "b", callbacks=[Poison(poison, "x"), Stop()], epochs=3)
    resumed = fit(tmp_path / "b", callbacks=[Poison(poison, "x")], epochs=3, resume=tmp_path / "b.ckpt")
    assert resumed.guard.state_dict() == whole.guard.state_dict()
    assert resumed.lr_factor == 0.5
    assert equal(whole.state_dict(), resumed.state_dict())
    losses = [[row["step/loss"] for row in rows(tmp_path / run)] for run in "ab"]
    assert losses[0] == losses[1]


def test_culprits_are_few_and_safe_to_load(tmp_path):
    with pytest.raises(StoppedNonFinite):
        fit(tmp_path, callbacks=[Poison(list(range(1, 100)), "x")], guard=GUARD | {"culprits": 2})
    files = sorted((tmp_path / "nonfinite").iterdir())
    assert [file.name for file in files] == ["step_1.pt", "step_2.pt"]
    culprit = torch.load(files[0], weights_only=True)
    assert culprit["bad"] == ["x", "loss", "gradient"]
    assert culprit["batch"]["x"].isnan().any()
    assert culprit["files"] == [f"/data/point-{index}" for index in culprit["samples"]]
    assert culprit["state"].keys() == Regression(network()).state_dict().keys()


def test_large_weights_are_left_out_of_the_culprit(tmp_path):
    fit(tmp_path, callbacks=[Poison([1], "x")], guard=GUARD | {"culprit_bytes": 10}, epochs=1)
    assert "state" not in torch.load(tmp_path / "nonfinite" / "step_1.pt", weights_only=True)


class Spoiler(lightning.Callback):
    """A NaN in a weight, a buffer or a moment at the end of epoch 2, after its last step."""

    def __init__(self, where):
        self.where = where

    def on_validation_end(self, trainer, task):
        if trainer.current_epoch == 1:
            moments = next(iter(task.optimizers().state.values()))
            spoiled = {
                "weight": task.model[0].weight,
                "buffer": task.model[1].running_var,
                "moment": moments["exp_avg_sq"],
            }
            spoiled[self.where].data.view(-1)[0] = torch.inf


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("weight", "model.0.weight"),
        ("buffer", "model.1.running_var"),
        ("moment", "exp_avg_sq of parameter 0"),
    ],
)
def test_a_checkpoint_with_anything_non_finite_is_never_written(tmp_path, where, name):
    fit(tmp_path, callbacks=[Spoiler(where)])
    (event,) = events(tmp_path)
    assert event["kind"] == "checkpoint_failed"
    assert f"{name} holds NaN or inf" in event["message"]
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["trainyard"]["epoch"] == 1


def test_spikes_of_loss_and_gradient_are_events(tmp_path):
    data = Points()
    data.y[7] = 1e4
    fit(tmp_path, data=data, epochs=4)
    found = events(tmp_path)
    assert {event["kind"] for event in found} == {"loss_spike", "grad_spike"}
    assert all("robust deviations above the median" in event["message"] for event in found)


def test_a_whole_run_tells_what_was_poisoned(train):
    ended = train(
        None, "experiment=imagenet_resnet_nan", "callbacks.poison.steps=[2]", "trainer.max_epochs=2"
    )
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert ended.summary["steps"] == 2 * ended.summary["plan"]["steps_per_epoch"] - 1
    (message,) = ended.events("non_finite_skip")
    assert "step 2: non-finite image" in message and "data/digits/train/" in message
    assert (ended.folder / "nonfinite" / "step_2.pt").exists()


def test_a_run_that_gives_up_says_so_and_exits_with_1(train):
    poison = ["experiment=imagenet_resnet_nan", "callbacks.poison.steps=[1,2,3,4,5]"]
    ended = train(None, *poison, "callbacks.non_finite.skip_limit=2", "callbacks.non_finite.max_rollbacks=1")
    assert (ended.code, ended.summary["status"]) == (1, "stopped_non_finite")
    assert len(ended.events("non_finite_abort")) == 1
    assert "Traceback" not in ended.said
    assert ended.said.splitlines()[-1] == f"run: {ended.folder}"
    assert all(tensor.isfinite().all() for tensor in ended.state()["state_dict"].values())
