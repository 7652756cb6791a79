"""Reads image files and PDFs, lines and whole pages, and writes what they say in the format that is asked for."""

import csv
import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track

from shared.data.folder import image_files
from shared.errors import ImageError, UserError
from shared.files import replaced
from shared.ocr.pages.read_page import MODES, Page, read_image
from shared.ocr.pages.sources import read_pages
from shared.ocr.pages.written import as_alto, as_hocr, as_json, as_text
from shared.ocr.reading.reader import Reader
from shared.ocr.script.language import Language

FORMATS = (".tsv", ".txt", ".json", ".hocr", ".html", ".xml", ".pdf")
MANY = 8  # files, from which on progress is shown

Files = list[tuple[str, list[Page]]]


def predict(reader: Reader, images: str, out: str, mode: str, language: Language) -> None:
    """Read `images` and write them to the file `out`, or a table to stdout for '-'.

    The suffix of `out` says how: .tsv (file, text and score of each line), .txt, .json (with boxes), .hocr, .xml
    (ALTO), .pdf (searchable). Files that cannot be read are named on stderr.
    """
    if mode not in MODES:
        raise UserError(f"no mode {mode!r}", "mode", f"choose one of {', '.join(MODES)}")
    suffix = ".tsv" if out == "-" else Path(out).suffix.lower()
    if suffix not in FORMATS:
        raise UserError(
            f"no format {suffix or 'without a suffix'}", "out", f"give a name with {', '.join(FORMATS)}"
        )
    paths = find_images(images)
    read = read_files(reader, paths, mode)
    if suffix == ".tsv":
        write_table(read, out)
    else:
        files = list(read)
        write_file(out, _written(files, suffix, language))


def find_images(images: str) -> list[str]:
    """A file, all images and PDFs below a folder, or those that a pattern matches, sorted."""
    path = Path(images)
    if path.is_dir():
        pdfs = [str(file) for file in path.rglob("*") if file.suffix.lower() == ".pdf" and file.is_file()]
        found = sorted([*image_files(images), *pdfs])
    else:
        found = [images] if path.is_file() else sorted(glob.glob(images, recursive=True))  # noqa: PTH207 (absolute too)
    if not found:
        raise UserError(
            f"no image at {images!r}", "images", "give a file, a folder or a pattern such as 'scans/*.png'"
        )
    return found


def read_files(reader: Reader, paths: list[str], mode: str) -> Iterator[tuple[str, list[Page]]]:
    """The pages of each file in order; what cannot be read is named on stderr and has none."""
    counts = {"line": 0, "page": 0, "unread": 0}
    console = Console(stderr=True)
    shown = track(paths, "reading", console=console, disable=len(paths) < MANY or not console.is_terminal)
    for path in shown:
        pages: list[Page] = []
        try:
            for image in read_pages(path):
                pages.append(read_image(image, reader, mode))
                counts[pages[-1].mode] += 1
        except ImageError as error:
            counts["unread"] += 1
            named = str(error) if str(path) in str(error) else f"{path}: {error}"
            print(f"not read: {named}", file=sys.stderr)
        yield path, pages
    unread = f", {counts['unread']} not read" if counts["unread"] else ""
    said = f"read as a line: {counts['line']}, as a page: {counts['page']}{unread} (mode={mode})"
    print(said, file=sys.stderr)


def write_table(files: Iterable[tuple[str, list[Page]]], out: str) -> None:
    """Tab-separated `file`, `text`, `score`, one row a line; a file on which nothing is read has one empty row."""
    if out == "-":
        try:
            for row in _rows(files):
                print(row, flush=True)
        except BrokenPipeError:  # whoever reads on, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    write_file(out, "".join(f"{row}\n" for row in _rows(files)).encode())


def write_file(out: str, content: bytes) -> None:
    """Write `out` whole or not at all."""
    try:
        with replaced(Path(out).expanduser()) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", str(out), "choose another file") from error


def _rows(files: Iterable[tuple[str, list[Page]]]) -> Iterator[str]:
    yield "file\ttext\tscore"
    for path, pages in files:
        lines = [(line.text, line.score) for page in pages for line in page.lines] or [("", 0.0)]
        for text, score in lines:
            stream = io.StringIO()
            table = csv.writer(
                stream, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator=""
            )
            table.writerow([_one_line(path), _one_line(text), f"{score:.4f}"])
            yield stream.getvalue()


def _one_line(field: str) -> str:
    return " ".join(field.replace("\t", " ").splitlines())


def _written(files: Files, suffix: str, language: Language) -> bytes:
    pages = [page for _, pages in files for page in pages]
    title = ", ".join(Path(name).name for name, _ in files[:3]) + (", ..." if len(files) > 3 else "")
    if suffix == ".pdf":
        from shared.ocr.pages.pdf import as_pdf

        return as_pdf(pages, language.page_font)
    if suffix == ".json":
        return as_json(files).encode()
    if suffix == ".txt":
        return as_text(pages).encode()
    return (as_alto if suffix == ".xml" else as_hocr)(pages, title, language.tag).encode()
