"""Languages: all that the OCR knows of one stands in a YAML file of `shared/ocr/languages`, or in one of your own."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shared.config.root import ROOT
from shared.errors import UserError

FOLDER = Path(__file__).parents[1] / "languages"
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Language:
    """A language's entry. Files are named from the entry's folder or from the repository's root.

    `tag` is BCP 47's (km), `script` is what Unicode calls its letters (khmer), `characters` are those that a recogniser
    knows, of which fonts may lack the `rare` ones. `normalise` names a rule of `normalise.RULES`; `look_alikes` are
    spellings that no eye can tell apart, each with the one that is read. `words` is a gzip file with a word a line,
    `fonts` a folder, whose `val_families` are seen in validation only; `page_font` shows what was read. `phrases` are
    what `text.LineText` fills in; `samples` are texts that show whether a font is drawn well; `starter` is an exported
    recogniser; `tesseract` is the language's name there.
    """

    key: str
    name: str
    tag: str
    script: str
    characters: str
    fonts: str
    page_font: str
    phrases: Mapping[str, Any]
    val_families: Sequence[str]
    normalise: str = "plain"
    look_alikes: Mapping[str, str] = field(default_factory=dict)
    rare: str = ""
    words: str | None = None
    samples: Sequence[str] = ()
    starter: str | None = None
    tesseract: str | None = None

    def setting(self, name: str) -> Any:
        """One value of the entry, as `${language:khmer,words}` has it in a config."""
        if name not in {each.name for each in fields(self)}:
            raise UserError(f"a language has no {name!r}", str(entry(self.key)), "correct the name")
        return getattr(self, name)


@cache  # asked for every line
def find_language(key: str) -> Language:
    """The language of a name in `languages/`, or of a YAML file; UserError lists what is known.

    >>> find_language("khmer").tag
    'km'
    >>> find_language("klingon")
    Traceback (most recent call last):
    ...
    shared.errors.UserError: no language 'klingon' (language): choose khmer, thai, or give a YAML file of your own
    """
    path = entry(key)
    if not path.is_file():
        raise UserError(
            f"no language {key!r}",
            "language",
            f"choose {', '.join(known())}, or give a YAML file of your own",
        )
    return read_entry(key, path)


def known() -> list[str]:
    """Names of the languages in `languages/`."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def entry(key: str) -> Path:
    """The file in which a language stands, or would stand."""
    return Path(key).expanduser() if key.endswith(SUFFIXES) else FOLDER / f"{key}.yaml"


def read_entry(key: str, path: Path) -> Language:
    content = read_yaml(path)
    names = {each.name for each in fields(Language)} - {"key"}
    needed = {each.name for each in fields(Language) if each.default is each.default_factory is MISSING} - {
        "key"
    }
    if unknown := sorted(content.keys() - names):
        raise UserError(
            f"a language has no {unknown[0]!r}", str(path), f"its keys are {', '.join(sorted(names))}"
        )
    if missing := sorted(name for name in needed if not content.get(name)):
        raise UserError(
            f"{missing[0]!r} is missing", str(path), "write it as shared/ocr/languages/khmer.yaml does"
        )

    for name in ("words", "fonts", "page_font", "starter"):
        if content.get(name):
            content[name] = str(located(path.parent, content[name]))
    content["characters"] = joined(content["characters"], path)
    return Language(key=key, **content)


def located(folder: Path, name: str) -> Path:
    """A file or folder that is named from `folder` or from the repository's root."""
    beside = folder / Path(name).expanduser()
    return beside if beside.exists() else ROOT / name


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file; UserError if it holds none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"cannot be read: {' '.join(str(error).split())}", str(path), "write YAML in UTF-8"
        ) from error
    if not isinstance(content, dict):
        raise UserError("holds no keys", str(path), "write it as the files of shared/ocr/languages are")
    return content


def joined(characters: Any, path: Path) -> str:
    """The characters of a list of strings; UserError if one stands there twice."""
    if not isinstance(characters, list) or not all(isinstance(each, str) for each in characters):
        raise UserError("`characters` is no list of strings", str(path), 'quote them: ["abc", "0123"]')
    found = "".join(characters)
    if twice := {character for character in found if found.count(character) > 1}:
        raise UserError(f"{sorted(twice)} stand twice", str(path), "name each character once")
    return found
