"""The rules of the house: who may import whom, and what files may be called."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("shared", "projects", "scripts", "hydra_plugins")
    for path in (ROOT / folder).rglob("*.py")
)
PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/train.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    names, inside = imports(path), path.relative_to(ROOT).parts
    assert not ({"torch", "lightning"} & roots(path) and "paddle" in roots(path)), (
        "torch and paddle in one file"
    )
    if inside[0] == "shared":
        assert "projects" not in roots(path), "shared imports a project"
    if inside[0] == "projects":
        others = [other for other in PROJECTS if other != inside[1]]
        assert not [name for name in names for other in others if name.startswith(f"projects.{other}")]
    if inside[:2] == ("shared", "policy"):
        ours = {name for name in names if name.startswith("shared.")}
        assert all(name.startswith("shared.policy") for name in ours)
        assert roots(path) <= sys.stdlib_module_names | {"shared"}
    if inside[:2] == ("shared", "callbacks"):
        assert not [name for name in names if name.startswith("shared.command.runner")]


def test_albumentations_has_one_door():
    assert [p.name for p in FILES if "albumentations" in roots(p) and "projects" not in p.parts] == [
        "images.py"
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_named_for_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 260
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}
    if path.parent.parent == ROOT / "projects":  # its folder comes first on sys.path
        assert path.stem not in sys.stdlib_module_names | {
            "datasets",
            "torch",
            "paddle",
            "hydra",
            "lightning",
        }


@pytest.mark.parametrize("name", ["train.py", "evaluate.py"])
def test_the_projects_share_their_entry_points_to_the_letter(name):
    assert len({(ROOT / "projects" / project / name).read_text() for project in PROJECTS}) == 1


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_is_whole(project):
    folder = ROOT / "projects" / project
    needed = ["train.py", "evaluate.py", "task.py", "model.py", "data.py", "README.md"]
    assert [name for name in needed if not (folder / name).exists()] == []
    assert (ROOT / "conf" / f"{project}.yaml").exists()
