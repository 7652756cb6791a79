"""Label files as people have them, each as (image, text) pairs: tabs, CSV, JSON lines, tesstrain's .gt.txt."""

import codecs
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from shared.errors import UserError

IMAGES = (
    "png",
    "jpg",
    "jpeg",
    "tif",
    "tiff",
    "bmp",
    "webp",
    "gif",
    "bin.png",
    "nrm.png",
)  # the last: OCRopus
FILE_KEYS = ("file_name", "filename", "file", "image", "image_path", "path", "name")
TEXT_KEYS = ("text", "words", "word", "label", "transcription", "ground_truth", "sentence", "target")
GROUND_TRUTH = ".gt.txt"
ICDAR = re.compile(r'(\S+\.(?:png|jpe?g|tiff?|bmp|webp|gif)),\s*"(.*)"', re.IGNORECASE)

Pair = tuple[str, str]


def read_pairs(path: Path) -> Iterator[Pair]:
    """Image names, relative to the file's folder, and texts; UserError names the first malformed row."""
    text = read_text(path)
    if path.suffix == ".jsonl":
        return json_rows(path, text)
    if path.suffix == ".csv":
        return csv_rows(path, text)
    return tab_rows(path, text)


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 with its mark, as Windows saves them."""
    try:
        data = path.read_bytes()
        marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if marked else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the labels: {error}", str(path), "save them as UTF-8") from error


def rows(text: str) -> Iterator[tuple[int, str]]:
    """Numbered rows that are not empty. Unicode knows more ends of lines than files do.

    >>> list(rows("a\\r\\n\\nb\\u2028c"))
    [(1, 'a'), (3, 'b\\u2028c')]
    """
    for number, row in enumerate(re.split("\r\n|\r|\n", text), start=1):
        if row.strip():
            yield number, row


def tab_rows(path: Path, text: str) -> Iterator[Pair]:
    """`file<TAB>text`, with a head or without; PaddleOCR's lists of images; ICDAR's `file, "text"`."""
    for number, row in rows(text):
        image, tab, label = row.partition("\t")
        if number == 1 and tab and image.strip().lower() in FILE_KEYS:
            continue
        if not tab and (found := ICDAR.fullmatch(row.strip())):
            yield found[1], found[2].replace('\\"', '"')
            continue
        if not tab:
            raise UserError("a row without a tab", f"{path}, line {number}", "write file<TAB>text")
        yield from ((name, label.strip()) for name in image_names(image))


def image_names(field: str) -> list[str]:
    """PaddleOCR lists several images of one text.

    >>> image_names('["a.jpg", "b.jpg"]')
    ['a.jpg', 'b.jpg']
    """
    if not field.startswith("["):
        return [field.strip()]
    return [name.strip(" \"'") for name in field.strip(" []").split(",")]


def csv_rows(path: Path, text: str) -> Iterator[Pair]:
    """A head and `file,text`. EasyOCR quotes no text and takes all behind the first comma; others quote as CSV does."""
    numbered = list(rows(text))
    heads = next(csv.reader([numbered[0][1]])) if numbered else []
    image, label = column(path, heads, FILE_KEYS), column(path, heads, TEXT_KEYS)
    if (image, label, len(heads)) != (0, 1, 2) or numbered[0][1].startswith('"'):
        for row in list(csv.reader(text.splitlines(keepends=True)))[1:]:
            if len(row) > max(image, label):
                yield row[image].strip(), row[label].strip()
        return

    for number, row in numbered[1:]:
        name, comma, found = row.partition(",")
        if not comma:
            raise UserError("a row without a comma", f"{path}, line {number}", "write file,text")
        yield name.strip().strip('"'), unquoted(found.strip())


def unquoted(text: str) -> str:
    """A text as CSV quotes it where it must: with a comma or a quotation mark inside.

    >>> unquoted('"a, b"'), unquoted('"a"'), unquoted('say "a", b')
    ('a, b', '"a"', 'say "a", b')
    """
    inside = text[1:-1].replace('""', "")
    quoted = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in inside
    needed = "," in inside or inside != text[1:-1]
    return text[1:-1].replace('""', '"') if quoted and needed else text


def column(path: Path, heads: list[str], names: tuple[str, ...]) -> int:
    lowered = [head.strip().lower() for head in heads]
    found = next((lowered.index(name) for name in names if name in lowered), None)
    if found is None:
        what = f"no column {names[0]!r} in {', '.join(heads) or 'an empty file'}"
        raise UserError(what, str(path), f"name it one of {', '.join(names)} in the first row")
    return found


def json_rows(path: Path, text: str) -> Iterator[Pair]:
    """An object a row, such as {"file_name": "a.png", "text": "..."} of Hugging Face's image folders."""
    for number, row in rows(text):
        try:
            facts = json.loads(row)
            image, label = (
                next(facts[key] for key in keys if key in facts) for keys in (FILE_KEYS, TEXT_KEYS)
            )
        except (ValueError, TypeError, StopIteration, RuntimeError, RecursionError) as error:
            mend = 'write {"file_name": "a.png", "text": "..."}'
            raise UserError("a row without a file and a text", f"{path}, line {number}", mend) from error
        yield str(image), str(label).strip()


def ground_truths(folder: Path) -> Iterator[Pair]:
    """tesstrain's pairs below a folder: a.gt.txt beside a.png, or any other image; UserError where there is none."""
    for path in sorted(folder.rglob(f"*{GROUND_TRUTH}")):
        stem = path.name.removesuffix(GROUND_TRUTH)
        beside = [path.with_name(f"{stem}.{kind}") for kind in (*IMAGES, *map(str.upper, IMAGES))]
        image = next((each for each in beside if each.is_file()), None)
        if image is None:
            raise UserError("no image beside the text", str(path), f"put {stem}.png there, or delete it")
        yield image.relative_to(folder).as_posix(), " ".join(read_text(path).split())
