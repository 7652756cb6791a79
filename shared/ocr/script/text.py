"""Text for rendered lines: dictionary words, dates, prices, phone numbers, punctuation, Latin."""

import gzip
import string
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.random import Generator

from shared.errors import UserError
from shared.ocr.script.language import SUFFIXES, find_language, read_yaml

VAL_SHARE = 20  # one word in so many is kept for validation


def read_words(path: str | Path, validation: bool) -> list[str]:
    """Words of a gzip file, one a line: those kept for validation, or all the others.

    Which they are follows from the word alone, so that no edit of the list can leak one into training. Another spelling
    of it is another word: a list should hold one of each.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            words = [word for line in file if (word := line.strip())]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read words: {error}", str(path), "give a gzip file, a word a line"
        ) from error
    return [word for word in words if (zlib.crc32(word.encode()) % VAL_SHARE == 0) == validation]


def read_phrases(name: str) -> Mapping[str, Any]:
    """The phrases of a language, or of a YAML file; UserError names what is missing in them."""
    content = read_yaml(Path(name).expanduser()) if name.endswith(SUFFIXES) else {"tag": name}
    found = find_language(name).phrases if "tag" in content else content
    needed = ("patterns", "months", "marks", "brackets", "country", "digits")
    if missing := [key for key in needed if key not in found]:
        raise UserError(f"phrases lack {missing[0]!r}", name, f"give them {', '.join(needed)}")
    if len(found["digits"]) != len(string.digits):
        raise UserError(f"{found['digits']!r} are not ten digits", name, "give those of 0 to 9, in order")
    return found


class LineText:
    """Draws lines of about `length` characters from words and phrases.

    `phrases` is a language, or a YAML file with `patterns` to fill in, `months`, `marks` between parts, `brackets`
    around them, a `country` code of telephone numbers and the script's own `digits`, which about half of the lines get.
    Slots of a pattern: {word} {day} {month} {year} {count} {price} {phone} {hour} {minute} {latin}.
    """

    def __init__(self, words: list[str], phrases: str, phrase_share: float = 0.25) -> None:
        self.words, self.phrase_share = words, phrase_share
        content = read_phrases(phrases)
        self.patterns, self.months = content["patterns"], content["months"]
        self.marks, self.brackets, self.country = content["marks"], content["brackets"], content["country"]
        self.native = str.maketrans(string.digits, content["digits"])

    def __call__(self, rng: Generator, length: int) -> str:
        """A line of at most `length` characters, unless its first part alone is longer."""
        line, spaced, native = "", rng.random() < 0.3, rng.random() < 0.5
        for _ in range(length):
            part = self.phrase(rng) if rng.random() < self.phrase_share else self.word(rng)
            if rng.random() < 0.04:
                part = self.bracketed(rng, part)
            joint = self.joint(rng, spaced) if line else ""
            if not line or len(line) + len(joint) + len(part) <= length:
                line += joint + part
            if len(line) + 4 >= length:
                break
        if rng.random() < 0.1:
            line += str(rng.choice(self.marks)).strip()
        return line.translate(self.native) if native else line

    def word(self, rng: Generator) -> str:
        return self.words[int(rng.integers(len(self.words)))]

    def joint(self, rng: Generator, spaced: bool) -> str:
        if rng.random() < 0.12:
            return str(self.marks[int(rng.integers(len(self.marks)))])
        return " " if spaced and rng.random() < 0.8 else ""

    def bracketed(self, rng: Generator, part: str) -> str:
        opening, closing = self.brackets[int(rng.integers(len(self.brackets)))]
        return f"{opening}{part}{closing}"

    def phrase(self, rng: Generator) -> str:
        """A pattern with its slots filled."""
        slots: dict[str, Callable[[], str]] = {
            "word": lambda: self.word(rng),
            "day": lambda: str(rng.integers(1, 32)).zfill(int(rng.integers(1, 3))),
            "month": lambda: str(rng.choice(self.months)),
            "year": lambda: str(rng.integers(1900, 2100)),
            "count": lambda: str(rng.integers(10 ** int(rng.integers(1, 5)))),
            "price": lambda: price(rng),
            "phone": lambda: phone(rng, self.country),
            "hour": lambda: str(rng.integers(1, 25)),
            "minute": lambda: f"{rng.integers(60):02d}",
            "latin": lambda: latin(rng),
        }
        pattern = self.patterns[int(rng.integers(len(self.patterns)))]
        for name, fill in slots.items():
            while f"{{{name}}}" in pattern:
                pattern = pattern.replace(f"{{{name}}}", fill(), 1)
        return pattern


def price(rng: Generator) -> str:
    amount = int(rng.integers(1, 10 ** int(rng.integers(2, 8))))
    separator = ",. "[int(rng.integers(3))] if rng.random() < 0.8 else ""
    return f"{amount:,}".replace(",", separator)


def phone(rng: Generator, country: str) -> str:
    blocks = [f"0{rng.integers(10, 100)}", f"{rng.integers(1000):03d}", f"{rng.integers(10000):03d}"]
    prefix = f"{country} " if rng.random() < 0.2 else ""
    return prefix + " -."[int(rng.integers(3))].join(blocks)


def latin(rng: Generator) -> str:
    letters = "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(2, 9))))
    return [letters, letters.capitalize(), letters.upper()][int(rng.integers(3))]
