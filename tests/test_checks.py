"""A config that came with a file runs nothing that `conf/` does not name."""

import pytest
import torch
from omegaconf import OmegaConf

from shared.checks import check_targets
from shared.cli import evaluate
from shared.errors import UserError

GOOD = {"_target_": "projects.imagenet_resnet.data.ImageFolderData", "generate": {"_target_": "os.system"}}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "shared.cli.os.system"},  # a way round through a module of ours
        {"_target_": "${name}", "name": "os.system"},
        GOOD,
        {"callbacks": [{"inner": {"_target_": "subprocess.run"}}]},
    ],
)
def test_foreign_targets_are_refused(node):
    with pytest.raises(UserError, match="would run"):
        check_targets(OmegaConf.create(node), where="x.ckpt")


def test_our_own_targets_pass():
    check_targets(OmegaConf.create({**GOOD, "generate": None}), where="x.ckpt")


def test_evaluating_a_checkpoint_runs_nothing_foreign(command, tmp_path):
    witness, path = tmp_path / "witness", tmp_path / "evil.ckpt"
    config = {name: {} for name in ("model", "task", "trainer")}
    config["data"] = {"_target_": "pathlib.Path.touch", "_args_": [str(witness)]}
    torch.save({"state_dict": {}, "trainyard": {"config": config}}, path)
    ended = command(evaluate, "imagenet_resnet", f"checkpoint={path}")
    assert ended.code == 2 and "would run pathlib.Path.touch" in ended.err
    assert not witness.exists()
