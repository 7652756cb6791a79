"""Configs that came with a file: built only from what `conf/` names."""

import re
from collections.abc import Iterator
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from shared.config.checks import strings
from shared.config.moved import with_current_names
from shared.config.root import ROOT
from shared.errors import UserError

PLAIN = re.compile(r"\$\{((root|language):[^${}]*|[\w.]+)\}")
"""Interpolations that reach the config itself, or name a path in this clone or what a language's entry says."""


def trusted(config: dict[str, Any], where: str) -> DictConfig:
    """A config that came with a file, resolved; UserError if it asks for anything that `conf/` does not name.

    The file may be anybody's: `instantiate` calls whatever a `_target_` says once it is resolved, and a resolver may
    read the environment. What is returned has no interpolation left that could become another target later.
    """
    mend = "use files of your own runs only"
    conf = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "conf").rglob("*.yaml")))
    ours = set(re.findall(r"\$\{[^{}]*\}", conf))
    for text in strings(config):
        left = PLAIN.sub("", PLAIN.sub("", text))  # one may stand in another
        for each in ours:
            left = left.replace(each, "")
        if "${" in left:
            raise UserError(f"its config would look up {text}", where, mend)
    Plugins.instance()  # they bring a resolver
    try:
        content = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"its config cannot be read: {error}", where, mend) from error
    content = without_own_augmentations(with_current_names(content))
    known = named_targets(conf)
    for target in targets(content):
        if target not in known:
            raise UserError(f"its config would run {target}", where, mend)
    return OmegaConf.create(content)


def without_own_augmentations(node: Any) -> Any:
    """Leaves out transforms by dotted name: nothing but training needs them, and a name would be imported."""
    if isinstance(node, list):
        return [without_own_augmentations(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: without_own_augmentations(each) for name, each in node.items()}
    for key in ("augment", "transforms"):
        if isinstance(found.get(key), dict):
            found[key] = {name: each for name, each in found[key].items() if "." not in str(name)}
    return found


def named_targets(conf: str) -> set[str]:
    """What `conf/` builds, on either framework."""
    found = set(re.findall(r"_target_:\s*((?:\$\{[\w.]+\}|[\w.])+)", conf))
    frameworks = [OmegaConf.load(path) for path in (ROOT / "conf" / "framework").glob("*.yaml")]
    nodes = [OmegaConf.create({"framework": each, "targets": list(found)}) for each in frameworks]
    return {target for node in nodes for target in node.targets}


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` inside nested dicts and lists."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from targets(each)
