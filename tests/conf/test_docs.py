"""Every training command in the documentation composes, and every script it names exists."""

import re
import shlex

import pytest

from tests.conf.test_compose import ROOT, compose

PAGES = [ROOT / "README.md", ROOT / "docker" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "projects").glob("*/README.md"))


def commands():
    for page in PAGES:
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.search(r"python3? projects/(\w+)/train\.py([^#|]*)", line):
                    yield pytest.param(found[1], found[2], id=f"{page.parent.name}/{page.stem}: {found[1]}")


@pytest.mark.parametrize(("project", "words"), commands())
def test_training_commands_compose(project, words):
    if not (ROOT / "projects" / project / "train.py").exists():
        pytest.skip(f"{project} is not here yet")
    overrides = [word for word in shlex.split(words) if "," not in word and "=" in word and "..." not in word]
    compose(project, *overrides)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_named_files_exist(page):
    names = set(re.findall(r"\b(?:scripts|docker|conf|constraints)/[\w/]+\.\w+\b", page.read_text()))
    made = {"docker/requirements.txt", "docker/constraints.txt"}
    assert [name for name in sorted(names - made) if not (ROOT / name).exists()] == []
