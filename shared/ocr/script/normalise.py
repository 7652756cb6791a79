"""One spelling for each picture: labels and error rates go through the same normalisation.

A language's entry names its rule in RULES; what needs none is written "plain".
Khmer and Thai can be typed in several code orders that look alike; a recogniser sees only the picture.
NFKC is never used: it takes the Thai vowel am apart. Reordering follows the Khmer syllable
BASE ROBAT? (COENG CONSONANT)* SHIFTER? VOWEL* SIGN*, coeng RO last among the subscripts (Unicode Standard, 16.4).
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from shared.errors import UserError
from shared.ocr.script.language import find_language

INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD])
COENG, RO, ROBAT = "\u17d2", "\u179a", "\u17cc"
E_VOWEL, U_VOWEL = "\u17c1", "\u17bb"
MUUSIKATOAN, TRIISAP = "\u17c9", "\u17ca"  # they move a syllable to the other register
UPPER_VOWELS = set("\u17b7\u17b8\u17b9\u17ba\u17be")
TAKES_TRIISAP = set("កខចឆដឋណតថផសហឡអ")
KHMER_CLUSTER = re.compile("([\u1780-\u17b3])((?:\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd])+)")
KHMER_MARK = re.compile("\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd]")
KHMER_STOP = re.compile(r"\s+([។ៗ៖])")  # no space stands before it
KHMER_OLD = {"ឣ": "អ", "ឤ": "អា", "\u17b4": "", "\u17b5": "", "\u17d3": "", "\u17d8": "។ល។"}  # deprecated

THAI_MARKS = re.compile("[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]{2,}")
THAI_AM = re.compile("\u0e4d([\u0e47-\u0e4e]*)\u0e32")  # am in two pieces, the tone between them or not


def normalise(text: str, language: str) -> str:
    """The canonical spelling of a line: idempotent; spaces collapsed, invisible characters gone.

    >>> normalise("  ส\u0e4d\u0e32คัญ ", "thai")  # am in two pieces
    'สำคัญ'
    """
    rule = RULES.get(name := find_language(language).normalise)
    if rule is None:
        raise UserError(f"no rule {name!r} (normalise)", f"language {language}", f"choose {', '.join(RULES)}")
    text = unicodedata.normalize("NFC", text).translate(INVISIBLE)
    return " ".join(rule(text).split())


def fold(text: str, language: str) -> str:
    """`normalise`, and one spelling for each group that no eye can tell apart.

    >>> fold("ប\u17d2\u178aី", "khmer") == "ប\u17d2\u178fី"  # coeng DA looks like coeng TA
    True
    """
    text = normalise(text, language)
    looks = find_language(language).look_alikes
    if not any(spelling in text for spelling in looks):
        return text

    for spelling, read in looks.items():
        text = text.replace(spelling, read)
    return normalise(text, language)


def khmer(text: str) -> str:
    for old, new in KHMER_OLD.items():
        text = text.replace(old, new)
    text = KHMER_CLUSTER.sub(lambda found: found[1] + khmer_marks(found[1], found[2]), text)
    return KHMER_STOP.sub(r"\1", text)


@lru_cache(5000)  # few syllables, often
def khmer_marks(base: str, marks: str) -> str:
    """The marks of one syllable in canonical order, split vowels in one piece."""
    before = None
    while marks != before:  # a vowel put together has another place among the vowels
        before = marks
        parts = sorted(KHMER_MARK.findall(marks), key=khmer_order)
        if U_VOWEL in parts and UPPER_VOWELS & set(parts) and not {MUUSIKATOAN, TRIISAP} & set(parts):
            parts[parts.index(U_VOWEL)] = TRIISAP if base in TAKES_TRIISAP else MUUSIKATOAN
            parts.sort(key=khmer_order)
        marks = re.sub(f"{E_VOWEL}([^\u17d2]*?)\u17b8", "\u17be\\1", "".join(parts))
        marks = re.sub(f"{E_VOWEL}([^\u17d2]*?)\u17b6", "\u17c4\\1", marks)
    return marks


def khmer_order(mark: str) -> tuple[int, str]:
    """Place in the syllable, then a fixed order within it."""
    if mark[0] == COENG:
        return (2 if mark[1] == RO else 1), ""  # stable: the subscripts' own order is meaningful
    if mark == ROBAT:
        return 0, ""
    if mark in (MUUSIKATOAN, TRIISAP):
        return 3, mark
    if "\u17b6" <= mark <= "\u17c5":
        return 4, ("\u0000" if mark in "\u17c1\u17c2\u17c3" else "") + mark
    return 5, mark


def thai(text: str) -> str:
    text = text.replace("เเ", "แ")
    before = None
    while text != before:  # a vowel put together can have marks to sort behind it
        before = text
        text = THAI_MARKS.sub(lambda found: "".join(sorted(found[0], key=thai_order)), text)
        text = THAI_AM.sub("\\1\u0e33", text)
    return text


def thai_order(mark: str) -> tuple[int, int]:
    """Vowel below, vowel above, tone, silencers, am; where NFC has an order of its own, that one."""
    if "\u0e38" <= mark <= "\u0e3a":
        place = 0
    elif "\u0e48" <= mark <= "\u0e4b":
        place = 2
    elif mark in "\u0e4c\u0e4e":
        place = 3
    else:
        place = 4 if mark == "\u0e33" else 1
    return place, unicodedata.combining(mark)


# A rule by the name that a language's entry gives; without its own, only Unicode's NFC and spaces are put in order.
RULES: dict[str, Callable[[str], str]] = {"plain": str, "khmer": khmer, "thai": thai}
