"""Replaying a kept batch tells bad data from bad weights."""

import pytest
import torch

from shared.errors import UserError
from shared.runs.replay import replay

POISON = ["experiment=imagenet_resnet_nan", "callbacks.poison.steps=[2]", "trainer.max_epochs=1"]
TINY = ["model.depth=18", "data.train_size=16", "data.val_size=16", "effective_batch_size=16", "logger=csv"]
TINY += ["trainer.limit_train_batches=3", "trainer.limit_val_batches=1", "hardware=cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a poisoned batch, as (its kept batch, its last checkpoint)."""
    from tests.conftest import start

    folder = tmp_path_factory.mktemp("run")
    process = start("imagenet_resnet/train.py", *POISON, *TINY, f"run_dir={folder}")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return folder / "nonfinite" / "step_2.pt", folder / "checkpoints" / "last.ckpt"


def changed(path, target, **entries):
    torch.save({**torch.load(path, weights_only=True), **entries}, target)
    return target


def test_bad_data_are_reproduced_and_named(run):
    found = replay(*run)
    assert found.reproduced and found.verdict.startswith("the data: NaN or inf in image")
    assert [trial.bad for trial in found.trials] == [["image", "loss", "gradient"]] * 2
    assert found.trials[0].layer == "the input of model.conv1"
    assert len(found.files) == 1 and found.files[0] in "\n".join(found.lines())


def test_bad_weights_are_told_from_a_bad_batch(run, tmp_path):
    culprit, checkpoint = run
    kept = torch.load(culprit, weights_only=True)
    batch = {**kept["batch"], "image": kept["batch"]["image"].nan_to_num()}
    spoiled = {name: tensor.clone() for name, tensor in kept["state"].items()}
    spoiled["model.layer1.0.conv1.weight"][0] = torch.inf
    bad_weights = changed(culprit, tmp_path / "weights.pt", batch=batch, state=spoiled, bad=["loss"])
    found = replay(bad_weights, checkpoint)
    assert found.verdict.startswith("the weights")
    assert found.trials[0].layer == "model.layer1.0.conv1" and found.trials[1].bad == []
    innocent = changed(culprit, tmp_path / "innocent.pt", batch=batch, bad=["gradient"])
    assert not replay(innocent, checkpoint).reproduced
    assert replay(innocent, checkpoint).verdict.startswith("not reproduced")


def test_without_weights_of_its_own_it_needs_a_checkpoint(run, tmp_path):
    culprit, checkpoint = run
    kept = torch.load(culprit, weights_only=True)
    del kept["state"]
    torch.save(kept, tmp_path / "bare.pt")
    with pytest.raises(UserError, match="kept without weights"):
        replay(tmp_path / "bare.pt")
    assert len(replay(tmp_path / "bare.pt", checkpoint).trials) == 1


def test_a_file_cannot_make_it_run_what_conf_does_not_name(run, tmp_path):
    culprit, _ = run
    kept, witness = torch.load(culprit, weights_only=True), tmp_path / "witness"
    config = {**kept["config"], "data": {"_target_": "pathlib.Path.touch", "_args_": [str(witness)]}}
    with pytest.raises(UserError, match=r"would run pathlib\.Path\.touch"):
        replay(changed(culprit, tmp_path / "evil.pt", config=config))
    assert not witness.exists()


def test_what_is_no_kept_batch_is_refused(tmp_path):
    (tmp_path / "odd.pt").write_bytes(b"odd")
    with pytest.raises(UserError, match="cannot be read"):
        replay(tmp_path / "odd.pt")
