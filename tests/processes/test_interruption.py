"""Ctrl-C and SIGTERM, wherever they arrive: saved, said, and resumed bit by bit."""

import signal

import pytest

MOMENTS = {
    "while it is set up": ("configure_optimizers", 1),
    "in the first step": ("training_step", 1),
    "within an epoch": ("training_step", 7),
    "at an epoch's last batch": ("training_step", 5),
    "in the first validation": ("validation_step", 1),
    "at an epoch's end": ("on_validation_epoch_end", 2),
    "at the run's last batch": ("training_step", 15),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_run_ends_as_the_undisturbed_one(train, whole, interrupt, moment):
    interrupt(*MOMENTS[moment])
    broken = train(None)
    assert (broken.code, broken.summary["status"]) == (143, "interrupted")
    resumed = train(broken.folder)
    assert (resumed.code, resumed.summary["status"]) == (0, "completed")
    assert resumed.rows == whole.rows
    assert resumed.weights() == whole.weights()
    for part in ("monitor", "epochs", "steps", "restarts"):
        assert resumed.summary[part] == whole.summary[part]


def test_averaged_weights_are_resumed_too(train, interrupt):
    averaged = ("callbacks=ema", "callbacks.ema.decay=0.5")
    whole = train(None, *averaged)
    interrupt("validation_step", 1)
    resumed = train(train(None, *averaged).folder, *averaged)
    assert resumed.rows == whole.rows and resumed.weights() == whole.weights()
    for name, tensor in whole.state()["ema"].items():
        assert tensor.equal(resumed.state()["ema"][name])


def test_a_signal_to_the_whole_group_spares_the_workers(train, whole, interrupt):
    interrupt("training_step", 3, everyone=True)
    broken = train(None, "hardware.workers=2")
    assert (broken.code, broken.summary["steps"]) == (143, 3)
    resumed = train(broken.folder, "hardware.workers=1")
    assert resumed.rows == whole.rows and resumed.weights() == whole.weights()


def test_ctrl_c_once_exits_with_130(train, interrupt):
    interrupt("training_step", 2, signal.SIGINT)
    broken = train(None)
    assert (broken.code, broken.summary["status"]) == (130, "interrupted")
    assert broken.summary["steps"] == 2 and broken.state()["trainyard"]["step"] == 2
    assert broken.said.splitlines()[-1] == f"run: {broken.folder}"


def test_an_interruption_in_the_last_validation_leaves_nothing_to_train(train, whole, interrupt):
    interrupt("on_validation_epoch_end", 3)
    broken = train(None)
    assert broken.code == 143 and broken.weights() == whole.weights()
    resumed = train(broken.folder)
    assert (resumed.code, resumed.summary["status"]) == (0, "completed")
    assert resumed.rows == whole.rows
