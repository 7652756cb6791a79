"""Options of `conf/` that only one project can use, and what may be chosen instead of another project's."""

import re
from collections.abc import Mapping
from functools import cache

from shared.config.root import ROOT
from shared.errors import UserError

GROUPS = ("data", "experiment", "loss", "model")
"""Groups whose options may belong to one project; all others serve every project."""
BUILDS = re.compile(r"_target_:\s*projects\.(\w+)\.")


@cache
def owner(group: str, option: str) -> str | None:
    """The project that an option belongs to: by what it builds, or by its name; None if it serves all.

    >>> owner("model", "thai_ocr_tiny"), owner("loss", "aam"), owner("schedule", "cosine")
    ('thai_ocr', 'voxceleb', None)
    """
    path = ROOT / "conf" / group / f"{option}.yaml"
    if group not in GROUPS or not path.is_file():
        return None
    named = [name for name in projects() if option.startswith(name)]
    built = BUILDS.search(path.read_text(encoding="utf-8"))
    return max(named, key=len) if named else built[1] if built else None


def usable(project: str, group: str) -> list[str]:
    """Options of a group that a project can use, by name."""
    names = sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    return [name for name in names if owner(group, name) in (None, project)]


def check_choices(project: str, choices: Mapping[str, str | None]) -> None:
    """Raise UserError for the first chosen option that belongs to another project."""
    for group, option in choices.items():
        other = owner(group, option) if option else None
        if other not in (None, project):
            mend = f"choose one of {', '.join(usable(project, group)) or 'none: this project has no such options'}"
            raise UserError(f"{option} is an option of {other}, not of {project}", f"{group}={option}", mend)


@cache
def projects() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in ROOT.glob("projects/*/train.py")))
