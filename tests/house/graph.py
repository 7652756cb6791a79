"""Who imports whom in this checkout: `python -m tests.house.graph` prints the arrows between the rooms."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("shared", "projects", "scripts", "hydra_plugins")
FILES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/train.py"))


def inside(path: Path) -> str:
    """`shared/policy/batching.py`: a file as the repository names it, on every system."""
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """`shared.policy.batching`; a package's `__init__` goes by the name of the package."""
    return inside(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of all modules that a file imports, wherever in the file, for types only included."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def packages(path: Path) -> set[str]:
    """The first word of every import: `torch`, `shared`, `csv`."""
    return {name.split(".")[0] for name in imports(path)}


def modules(folders: tuple[str, ...] = TOPS) -> dict[str, set[str]]:
    """Every module of the folders with the modules of this repository that it imports."""
    files = {module(path): path for path in FILES if inside(path).split("/")[0] in folders}
    return {name: {other for other in imports(path) if other in files} for name, path in files.items()}


def room(name: str) -> str:
    """`shared.policy.batching` lies in `policy`, `shared.errors` in `errors`, `projects.x.task` in `projects`."""
    first, *rest = name.split(".")
    return rest[0] if first == "shared" and rest else first


def between(graph: dict[str, set[str]]) -> dict[str, dict[str, list[str]]]:
    """Arrows from room to room: `found["fit"]["policy"]` lists the imports that make it."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, others in sorted(graph.items()):
        for other in sorted(others):
            here, there = room(name), room(other)
            if here != there and there != "shared":
                found.setdefault(here, {}).setdefault(there, []).append(f"{name} -> {other}")
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of names that reach each other (Warshall's closure)."""
    reach = {name: set(others) - {name} for name, others in graph.items()}
    for middle in reach:
        for name in reach:
            if middle in reach[name]:
                reach[name] |= reach[middle]

    groups = {
        frozenset(other for other in reach if other in reach[name] and name in reach[other]) for name in reach
    }
    return [set(group) for group in groups if group]


def text(arrows: dict[str, dict[str, list[str]]]) -> str:
    """One line a room: `fit -> checkpoints 1, policy 5`, with the number of imports."""
    lines = []
    for here, others in sorted(arrows.items()):
        lines += [
            f"{here} -> " + ", ".join(f"{there} {len(names)}" for there, names in sorted(others.items()))
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(between(modules(("shared", "projects")))))
    print("circles:", circles(modules()) or "none")
