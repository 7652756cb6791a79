"""Every config composes, and everything it names exists and takes the arguments it is given."""

import inspect
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

import shared.config.root  # noqa: F401 (registers the resolvers)

CONF = Path(__file__).resolve().parents[2] / "conf"
ROOT = CONF.parent
PRIMARY = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "base")
HARDWARE = sorted(path.stem for path in (CONF / "hardware").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
GIVEN_LATER = {
    "shared.lightning.loggers": {"folder"},
    "shared.paddle.loggers": {"folder"},
    "task": {"model", "data"},
}


def compose(project: str, *overrides: str) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(project, overrides=list(overrides))


def targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All nodes with a `_target_`, and where they are."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from targets(child, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from targets(child, f"{path}.{index}")


def bind(path: str, node: dict[str, Any]) -> None:
    given = {key: value for key, value in node.items() if not key.startswith("_")}
    later: set[str] = set()
    for prefix, names in GIVEN_LATER.items():
        later |= names if path == prefix or node["_target_"].startswith(prefix) else set()
    signature = inspect.signature(get_object(node["_target_"]))
    if node.get("_partial_"):
        signature.bind_partial(**given)
    else:
        signature.bind(**given, **dict.fromkeys(later))


def choices() -> list[tuple[str, str | None, str]]:
    """Each project's own experiments (they begin with its name) x hardware."""
    found = []
    for project in PRIMARY:
        own = [None, *(name for name in EXPERIMENTS if name.startswith(project))]
        found += [(project, *choice) for choice in product(own, HARDWARE)]
    return found


@pytest.mark.parametrize(("project", "experiment", "hardware"), choices())
def test_every_combination_composes_and_binds(project, experiment, hardware):
    overrides = [f"hardware={hardware}"] + ([f"experiment={experiment}"] if experiment else [])
    cfg = compose(project, *overrides, "run_dir=/tmp/run")
    content = OmegaConf.to_container(cfg, resolve=True)
    found = list(targets(content))
    assert {"data", "model", "task", "optimizer", "schedule", "trainer"} <= {path for path, _ in found}
    for path, node in found:
        try:
            bind(path, node)
        except TypeError as error:
            raise AssertionError(f"{path} ({node['_target_']}): {error}") from error


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "schedule", "callbacks", "logger"])
def test_every_option_of_a_group_binds(group):
    for option in sorted((CONF / group).glob("*.yaml")):
        owner = next((name for name in PRIMARY if option.stem.startswith(name)), "imagenet_resnet")
        cfg = compose(owner, f"{group}={option.stem}", "run_dir=/tmp/run")
        for path, node in targets(OmegaConf.to_container(cfg[group], resolve=True), group):
            bind(path, node)


def test_a_wrong_argument_is_found():
    with pytest.raises(TypeError):
        bind("optimizer", {"_target_": "torch.optim.SGD", "_partial_": True, "learning_rate": 1})


def test_every_experiment_belongs_to_a_project():
    assert [name for name in EXPERIMENTS if not name.startswith(tuple(PRIMARY))] == []


def test_every_key_of_the_base_config_is_read():
    code = "\n".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    code += "\n".join(re.findall(r"\$\{(\w+)\}", (CONF / "base.yaml").read_text())).replace(
        "run_dir", "cfg.run_dir"
    )
    base = OmegaConf.to_container(OmegaConf.load(CONF / "base.yaml"))
    keys = [key for key in base if key not in ("defaults", "hydra")]
    assert [
        key for key in keys if not re.search(rf"(cfg|config)\.{key}\b|config\.get\(\"{key}\"\)", code)
    ] == []


def test_flat_option_names():
    assert [path for path in CONF.glob("*/*/*.yaml") if path.parts[-3] != "hydra"] == []
