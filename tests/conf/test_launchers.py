"""Launchers, sweepers, strategies and searches: every option composes and fits the class it names."""

import inspect
from pathlib import Path

import hydra
import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

import shared.config.root  # noqa: F401 (registers the resolvers)

CONF = Path(__file__).resolve().parents[2] / "conf"


def compose(*overrides):
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("imagenet_resnet", overrides=[*overrides, "run_dir=x"], return_hydra_config=True)


@pytest.mark.parametrize(
    "path", sorted(CONF.glob("hydra/launcher/*.yaml")) + sorted(CONF.glob("hydra/sweeper/*.yaml"))
)
def test_options_of_hydras_own_groups(path):
    node = OmegaConf.to_container(compose(f"hydra/{path.parent.name}={path.stem}").hydra[path.parent.name])
    target = node.pop("_target_")
    inspect.signature(get_class(target)).bind(**node)


def test_a_search_is_a_sweep_with_a_pruner():
    cfg = compose("sweep=optuna")
    assert cfg.hydra.mode.name == "MULTIRUN" and cfg.hydra.sweeper._target_.endswith("OptunaSweeper")
    assert "optimizer.lr" in cfg.hydra.sweeper.params and cfg.callbacks.median_pruner
    assert compose().hydra.mode is None and "median_pruner" not in compose().callbacks


@pytest.mark.parametrize(
    ("option", "strategy"), [("ddp", "ddp"), ("fsdp", {"_target_": "shared.lightning.fsdp.FSDP"})]
)
def test_strategies(option, strategy):
    assert compose(f"strategy={option}").trainer.strategy == strategy
