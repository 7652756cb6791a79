"""Arrows between the rooms point one way, and no two files import each other, for types only included."""

import ast
import sys

import pytest

from tests.house.graph import (
    FILES,
    PROJECTS,
    between,
    circles,
    imports,
    inside,
    modules,
    packages,
    text,
    tree,
)

# A room, and the rooms that it may import. A new arrow is a decision: write it here, below nothing that imports it.
ARROWS = {
    "errors": "",
    "policy": "",
    "files": "errors",
    "processes": "errors",
    "config": "processes files errors",
    "urls": "config errors",
    "record": "config processes policy files errors",
    "checkpoints": "record config processes policy files errors",
    "backups": "record config urls policy files errors",
    "runs": "checkpoints record config policy files errors",
    "fit": "checkpoints backups record config processes policy files errors",
    "callbacks": "fit runs checkpoints record processes policy errors",
    "data": "record config urls files errors",
    "ocr": "data checkpoints record config files errors",
    "nets": "ocr checkpoints files errors",
    "lightning": "callbacks fit runs data nets checkpoints backups record config processes policy files errors",
    "paddle": "callbacks fit runs ocr data nets checkpoints backups record config processes policy files errors",
    "sweeps": "runs config files errors",
    "serve": "ocr config files errors",
    "verify": "config errors",
    "command": "sweeps runs fit checkpoints backups record config processes files errors",
    "projects": "lightning paddle command serve ocr data nets fit runs checkpoints record config policy files errors",
}
FRAMEWORKS = {"torch", "lightning", "paddle"}
NEUTRAL = {"policy", "config", "processes", "record", "checkpoints", "backups", "fit", "callbacks"}


def test_rooms_import_what_the_table_allows():
    arrows = between(modules(("shared", "projects")))
    print(text(arrows))

    wrong = [
        name
        for here, others in arrows.items()
        for there, names in others.items()
        for name in names
        if there not in ARROWS[here].split()
    ]
    assert wrong == [], "not in ARROWS of tests/house/test_arrows.py"


def test_the_table_itself_has_no_circle():
    table = {room: set(others.split()) for room, others in ARROWS.items()}
    assert {other for others in table.values() for other in others} <= table.keys()
    assert circles(table) == []


def test_no_files_import_each_other():
    assert circles(modules()) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}) == [{"a", "b", "c"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_nothing_imports_tests_or_tools():
    wrong = [(inside(path), packages(path) & {"tests", "scripts", "hydra_plugins"}) for path in FILES]
    assert [each for each in wrong if each[1] and not each[0].startswith("scripts/")] == []


@pytest.mark.parametrize("project", PROJECTS)
def test_projects_never_import_each_other(project):
    others = tuple(f"projects.{other}" for other in PROJECTS if other != project)
    files = [path for path in FILES if inside(path).startswith(f"projects/{project}/")]
    assert files
    assert [(inside(path), name) for path in files for name in imports(path) if name.startswith(others)] == []


def test_no_file_imports_both_frameworks():
    both = [path for path in FILES if "paddle" in packages(path) and {"torch", "lightning"} & packages(path)]
    assert [inside(path) for path in both] == []


def test_policies_import_the_standard_library_alone():
    files = [path for path in FILES if inside(path).startswith("shared/policy/")]
    known = sys.stdlib_module_names | {"shared"}
    assert files
    assert [inside(path) for path in files if not packages(path) <= known] == []


def test_neutral_rooms_name_no_framework_beyond_one_function():
    """What both sockets use may ask torch for something inside a function, which only one socket calls."""
    files = [path for path in FILES if inside(path).split("/")[:2][-1] in NEUTRAL]
    assert files
    wrong = [(inside(path), names) for path in files if (names := at_the_top(path) & FRAMEWORKS)]
    assert wrong == []


def at_the_top(path) -> set[str]:
    """Packages that a file imports outside its functions, for types only included."""
    found, waiting = set(), [tree(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif not isinstance(node, ast.FunctionDef):
            waiting += ast.iter_child_nodes(node)
    return found


def test_albumentations_has_one_door():
    users = [inside(path) for path in FILES if "albumentations" in packages(path)]
    assert [name for name in users if not name.startswith("projects/")] == ["shared/data/images.py"]
