"""What lies where: names at the root, names that every system can check out, sizes of files and folders."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.house.graph import FILES, PROJECTS, ROOT, inside

AT_THE_ROOT = """
    .ci .dockerignore .github .gitignore .pre-commit-config.yaml CHANGELOG.md CONTRIBUTING.md LICENSE Makefile README.md
    THIRD_PARTY.md assets conf constraints docker docs hydra_plugins projects pyproject.toml scripts shared tests
"""
LINES, IN_A_FOLDER, LOOSE = 260, 13, 4
TWINS = ("shared/lightning/", "shared/paddle/")
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}

# Files of one name in different rooms, and why that name is the best one in each.
SAME_NAME = {
    "checks.py": "of a config before a run; of a GPU by verify_gpu",
    "cli.py": "command lines of the projects; those of the tools that look at runs",
    "finite.py": "torch's tensors in training; arrays of a checkpoint, without torch",
    "line_recogniser.py": "the network in torch; its twin in Paddle",
    "folder.py": "each room's own folder: of checkpoints, of images, of a run, of anybody's run",
    "forecast.py": "the callback is named for what it shows",
    "picture.py": "of one run; of a sweep",
    "reader.py": "of shards, of text lines, of checkpoints",
    "sampler.py": "the order of samples; draws from a posterior",
    "stores.py": "where backups go; where shards come from",
    "table.py": "rows of checkpoints, of a log, of a sweep",
    "weights.py": "loading them; judging them",
    "words.py": "the sentences of checkpoints; those of a forecast",
}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Every path that the repository holds."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return found.decode().rstrip("\0").split("\0")


def test_the_root_holds_what_a_stranger_expects(tracked):
    assert {path.split("/")[0] for path in tracked} - set(AT_THE_ROOT.split()) == set()


def test_windows_can_check_out_every_path(tracked):
    assert [path for path in tracked if not legal(path)] == []
    folded = Counter(path.casefold() for path in tracked)
    assert [path for path, times in folded.items() if times > 1] == []


def legal(path: str) -> bool:
    """Windows' rules for a name: no such character, no dot or space at its end, no device."""
    parts = path.split("/")
    return not re.search(r'[<>:"|?*\\\x00-\x1f]', path) and all(
        part.rstrip(". ") == part and part.split(".")[0].lower() not in RESERVED for part in parts
    )


@pytest.mark.parametrize(
    "path", ["sftp:/me@nas/x.jpg", "a?.py", "aux.c", "docs/Nul", "end./x", "tab\t", "a\\b"]
)
def test_a_path_that_windows_refuses_is_found(path):
    assert not legal(path)


def test_files_are_small():
    long = {inside(path): length for path in FILES if (length := lines(path)) > LINES}
    assert long == {}


def lines(path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_folders_are_small():
    """About twelve Python files in a folder. scripts/ holds one file a command, as many as there are commands."""
    sizes = Counter(inside(path.parent) for path in FILES if path.name != "__init__.py")
    assert {
        folder: n for folder, n in sizes.items() if n > IN_A_FOLDER and not folder.startswith("scripts")
    } == {}
    assert sizes["shared"] <= LOOSE


def test_a_name_says_what_a_file_holds():
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert [inside(path) for path in FILES if path.stem in vague] == []


def test_rooms_do_not_share_names_of_files():
    """But for the two sockets, whose files are twins: the same name, the same duty."""
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        name = inside(path)
        if name.startswith("shared/") and path.name != "__init__.py":
            room = next((name.replace(twin, "", 1) for twin in TWINS if name.startswith(twin)), name)
            rooms.setdefault(path.name, set()).add(room)

    assert {name: found for name, found in rooms.items() if len(found) > 1 and name not in SAME_NAME} == {}


def test_projects_hide_no_module_of_others():
    """`python projects/x/train.py` puts the project's folder first on `sys.path`."""
    taken = sys.stdlib_module_names | {"datasets", "torch", "paddle", "hydra", "lightning"}
    names = [path for path in FILES if path.parent.parent == ROOT / "projects"]
    assert [inside(path) for path in names if path.stem in taken] == []


@pytest.mark.parametrize("name", ["train.py", "evaluate.py"])
def test_the_projects_share_their_entry_points_to_the_letter(name):
    assert len({(ROOT / "projects" / project / name).read_text() for project in PROJECTS}) == 1


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_is_whole(project):
    folder = ROOT / "projects" / project
    needed = ["train.py", "evaluate.py", "task.py", "model.py", "data.py", "README.md"]
    assert [name for name in needed if not (folder / name).exists()] == []
    assert (ROOT / "conf" / f"{project}.yaml").exists()
