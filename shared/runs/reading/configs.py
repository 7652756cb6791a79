"""Configs as flat keys, and where several of them differ."""

from typing import Any

from shared.config.moved import current_name

MAX_KEYS = 5_000
PERSONAL = ("run_dir", "hydra.", "checkpoint", "resume")  # differ between any two runs


def flat(config: dict) -> dict[str, str]:
    """`{"optimizer.lr": "0.1", ...}` in the config's own order; at most MAX_KEYS of them."""
    found: dict[str, str] = {}
    stack: list[tuple[str, Any]] = [("", config)]
    while stack and len(found) < MAX_KEYS:
        path, node = stack.pop()
        if isinstance(node, dict) and node:
            stack += [(f"{path}.{key}" if path else str(key), value) for key, value in reversed(node.items())]
        elif path:
            found[path] = current_name(str(node)) if path.endswith("_target_") else str(node)
    return found


def differences(configs: list[dict]) -> list[list[str]]:
    """Rows of key and each config's value, for the keys that are not the same everywhere."""
    tables = [flat(config) for config in configs]
    keys = dict.fromkeys(key for table in tables for key in table if not key.startswith(PERSONAL))
    rows = [[key, *(table.get(key, "-") for table in tables)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]
