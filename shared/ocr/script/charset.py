"""Charsets: the characters a recogniser knows, as tiny YAML files, and text <-> CTC class indices."""

import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import yaml

from shared.errors import UserError

FOLDER = Path(__file__).parents[1] / "charsets"
BLANK = 0  # CTC's class for "no character here"


class Charset:
    """Characters in a fixed order; class 0 is CTC's blank, class i + 1 the i-th character."""

    def __init__(self, characters: str, script: str) -> None:
        self.characters, self.script = characters, script

    @classmethod
    def load(cls, name: str) -> "Charset":
        """The charset of a YAML file with `script` and `characters`, or of `charsets/<name>.yaml`.

        `extends` names a charset whose characters come first.
        """
        path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            base = cls.load(content["extends"]).characters if "extends" in content else ""
            characters, script = base + "".join(content["characters"]), content["script"]
        except OSError as error:
            known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
            raise UserError(f"no charset {path}", "charset", f"choose {known} or a YAML file") from error
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise UserError(
                "not a charset", str(path), "give it `script` and a list `characters` of strings"
            ) from error
        if twice := {c for c in characters if characters.count(c) > 1}:
            raise UserError(f"{sorted(twice)} stand twice", str(path), "name each character once")
        return cls(characters, script)

    @cached_property
    def index(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, start=1)}

    def __len__(self) -> int:
        """Number of CTC classes, blank included."""
        return len(self.characters) + 1

    def missing(self, text: str) -> set[str]:
        return set(text) - self.index.keys()

    def encode(self, text: str) -> list[int]:
        """Class indices; KeyError for a character outside the charset."""
        return [self.index[character] for character in text]

    def decode(self, classes: Iterable[int]) -> str:
        """The text of class indices; blanks vanish."""
        return "".join(self.characters[i - 1] for i in classes if i != BLANK)


def is_of(character: str, script: str) -> bool:
    """Whether Unicode names the character after the script."""
    return unicodedata.name(character, "").startswith(script.upper())
