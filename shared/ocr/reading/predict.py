"""Reads image files with an exported recogniser and writes a table of file, text and score."""

import csv
import glob
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from shared.data.folder import image_files
from shared.errors import ImageError, UserError
from shared.files import replaced
from shared.ocr.lines.image import read_line
from shared.ocr.reading.reader import Reader, Reading

CHUNK = 256  # images in memory at once


def find_images(images: str) -> list[str]:
    """A file, all images below a folder, or those that a pattern matches, sorted."""
    path = Path(images)
    if path.is_dir():
        found = image_files(images)
    else:
        found = [images] if path.is_file() else sorted(glob.glob(images, recursive=True))  # noqa: PTH207 (absolute too)
    if not found:
        raise UserError(
            f"no image at {images!r}", "images", "give a file, a folder or a pattern such as 'scans/*.png'"
        )
    return found


def read_files(reader: Reader, paths: list[str]) -> Iterator[tuple[str, Reading]]:
    """Each file's reading in order; what cannot be read is named on stderr and reads as nothing with score 0."""
    for start in range(0, len(paths), CHUNK):
        chunk, lines = paths[start : start + CHUNK], {}
        for path in chunk:
            try:
                lines[path] = read_line(path, reader.height)
            except ImageError as error:
                print(f"refused: {error}", file=sys.stderr)
        read = dict(zip(lines, reader.read(list(lines.values())), strict=True))
        yield from ((path, read.get(path, Reading("", 0.0))) for path in chunk)


def write_table(rows: Iterable[tuple[str, Reading]], file: TextIO) -> None:
    """Tab-separated `file`, `text`, `score`."""
    table = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
    table.writerow(["file", "text", "score"])
    table.writerows((clean(path), clean(reading.text), f"{reading.score:.4f}") for path, reading in rows)


def clean(field: str) -> str:
    return " ".join(field.replace("\t", " ").splitlines())


def predict(reader: Reader, images: str, out: str) -> None:
    """Read `images` and write the table to the file `out`, or to stdout for '-'."""
    rows = read_files(reader, find_images(images))
    if out == "-":
        write_table(rows, sys.stdout)
        return
    try:
        with replaced(Path(out)) as temporary, temporary.open("w", encoding="utf-8") as file:
            write_table(rows, file)
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", str(out), "choose another file") from error
