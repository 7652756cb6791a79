"""Charsets: the characters a recogniser knows, and text <-> CTC class indices."""

import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from shared.errors import UserError
from shared.ocr.script.language import SUFFIXES, entry, find_language, joined, known, read_yaml

FOLDER = Path(__file__).parents[1] / "charsets"
BLANK = 0  # CTC's class for "no character here"


class Charset:
    """Characters in a fixed order; class 0 is CTC's blank, class i + 1 the i-th character.

    >>> charset = Charset("abc", "latin")
    >>> charset.encode("cab"), charset.decode([3, 0, 1, 2]), charset.missing("cat")
    ([3, 1, 2], 'cab', {'t'})
    """

    def __init__(self, characters: str, language: str, name: str = "") -> None:
        self.characters, self.language, self.name = characters, language, name or language

    @classmethod
    def load(cls, name: str) -> "Charset":
        """The charset of a language, or another one: of `charsets/<name>.yaml` or of a YAML file.

        Such a file holds `language` and `characters`; `extends` names a charset whose characters come first. What
        follows a plus sign is added behind: `khmer+“”…`.

        >>> len(Charset.load("thai")), len(Charset.load("thai+“”"))
        (187, 189)
        """
        base, plus, added = name.partition("+")
        if plus and not Path(name).expanduser().is_file():
            known_ones = cls.load(base)
            new = "".join(dict.fromkeys(c for c in added if c not in known_ones.index))
            return cls(known_ones.characters + new, known_ones.language, name)

        path = Path(name).expanduser() if name.endswith(SUFFIXES) else FOLDER / f"{name}.yaml"
        if not path.is_file() and not entry(name).is_file():
            choice = ", ".join([*known(), *sorted(file.stem for file in FOLDER.glob("*.yaml"))])
            raise UserError(f"no charset {name}", "charset", f"choose {choice} or a YAML file")
        if not path.is_file() or "tag" in read_yaml(path):
            return cls(find_language(name).characters, name)

        content = read_yaml(path)
        language = content.get("language", content.get("script"))  # the key's name in older files
        if not language or "characters" not in content:
            raise UserError("not a charset", str(path), "give it `language` and a list `characters`")
        find_language(language)
        before = list(cls.load(content["extends"]).characters) if "extends" in content else []
        return cls(joined(before + content["characters"], path), language, name)

    @cached_property
    def index(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, start=1)}

    def __len__(self) -> int:
        """Number of CTC classes, blank included."""
        return len(self.characters) + 1

    def missing(self, text: str) -> set[str]:
        """Characters of the text that the charset does not have.

        >>> Charset("abc", "khmer").missing("cat")
        {'t'}
        """
        return set(text) - self.index.keys()

    def encode(self, text: str) -> list[int]:
        """Class indices; KeyError for a character outside the charset.

        >>> Charset("abc", "khmer").encode("cab")
        [3, 1, 2]
        """
        return [self.index[character] for character in text]

    def decode(self, classes: Iterable[int]) -> str:
        """The text of class indices; blanks vanish.

        >>> Charset("abc", "khmer").decode([3, 0, 1, 2])
        'cab'
        """
        return "".join(self.characters[i - 1] for i in classes if i != BLANK)


def is_of(character: str, script: str) -> bool:
    """Whether Unicode names the character after the script.

    >>> is_of("ក", "khmer"), is_of("ก", "khmer")
    (True, False)
    """
    return unicodedata.name(character, "").startswith(script.upper())


def language_setting(charset: str, name: str) -> object:
    """What the entry of a charset's language says: `${language:khmer,words}` in a config."""
    return find_language(Charset.load(charset).language).setting(name)
