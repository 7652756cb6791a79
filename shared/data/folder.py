"""Image files in class folders: <split>/<class>/**/*.jpg. What is left out is counted by kind, nothing in silence."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from shared.errors import UserError

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".avif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".ico",
)  # fmt: skip
# Folders and files that programs leave among data; names that begin with a dot are hidden, too.
HIDDEN = {
    "@eaDir", "__MACOSX", "__pycache__", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found",
    "Thumbs.db", "desktop.ini",
}  # fmt: skip
# Pictures of kinds that are not read.
PICTURES = (
    ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jpf", ".jxl", ".psd", ".svg", ".pdf", ".eps", ".exr", ".hdr",
    ".dds", ".qoi", ".pcx", ".sgi", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2",
)  # fmt: skip
BACK = "link back into the data"


class Split(NamedTuple):
    """Files and their labels, which index `classes`."""

    classes: list[str]
    paths: list[str]
    labels: list[int]


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name in HIDDEN


def is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not is_hidden(name)


def class_folders(folder: Path, left_out: Counter[str] | None = None) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones, and links that lead back into it, are none."""
    left_out = Counter() if left_out is None else left_out
    return sorted(entry.name for entry in visible(str(folder), str(folder), left_out) if entry.is_dir())


def image_files(
    folder: str | Path, left_out: Counter[str] | None = None, home: str | Path | None = None
) -> list[str]:
    """Images anywhere below a folder, sorted: see find_files."""
    return find_files(folder, is_image, left_out, home)


def find_files(
    folder: str | Path,
    is_wanted: Callable[[str], bool],
    left_out: Counter[str] | None = None,
    home: str | Path | None = None,
) -> list[str]:
    """Files of wanted names anywhere below a folder, sorted; they are not touched.

    Links are followed, but for those to a folder in or around `home` (default: the folder itself), whose files are
    met where they lie. Other files are counted in `left_out`, by suffix.
    """
    left_out = Counter() if left_out is None else left_out
    found, waiting, home = [], [str(folder)], str(home or folder)
    linked: set[str] = set()
    while waiting:
        for entry in visible(waiting.pop(), home, left_out):
            if not entry.is_dir():
                if is_wanted(entry.name):
                    found.append(entry.path)
                else:
                    left_out[os.path.splitext(entry.name)[1].lower() or "without a suffix"] += 1  # noqa: PTH122
            elif not entry.is_symlink():
                waiting.append(entry.path)
            elif (real := os.path.realpath(entry.path)) not in linked:
                linked.add(real)
                waiting.append(entry.path)
    return sorted(found)


def visible(folder: str, home: str, left_out: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, but for what is hidden and for links into, or around, `home`."""
    real_home = os.path.realpath(home)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    left_out["hidden"] += 1
                elif entry.is_symlink() and entry.is_dir() and leads_back(entry.path, real_home):
                    left_out[BACK] += 1
                else:
                    yield entry
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}", folder, "make it a folder that you may read"
        ) from error


def leads_back(link: str, home: str) -> bool:
    real = os.path.realpath(link)
    return os.path.commonpath((real, home)) in (real, home)


def scan_classes(folder: Path, left_out: Counter[str] | None = None) -> Split:
    """Every class folder's images; a split without classes or a class without images is refused."""
    left_out = Counter() if left_out is None else left_out
    if not folder.is_dir():
        raise UserError(f"no folder {folder}", "data.root", "point it at a folder with train/ and val/ in it")
    classes, paths, labels = class_folders(folder, left_out), [], []
    if not classes:
        raise UserError("no class folders", str(folder), "put each class's images into a folder of its name")
    for label, name in enumerate(classes):
        others: Counter[str] = Counter()
        files = image_files(folder / name, others, home=folder)
        if not files:
            refuse_empty(folder / name, others)
        left_out.update(others)
        paths += files
        labels += [label] * len(files)
    return Split(classes, paths, labels)


def refuse_empty(folder: Path, others: Mapping[str, int]) -> None:
    if others:
        what = f"a class folder without images that are read: {in_words(others)}"
        raise UserError(what, str(folder), "convert them (magick mogrify -format png FILES), or delete it")
    raise UserError("a class folder without images", str(folder), "fill it, or delete it")


def advice(left_out: Mapping[str, int]) -> str:
    """What to do about pictures that are not read; empty if there are none."""
    kinds = [kind for kind in left_out if kind in PICTURES]
    return f" (to use them, convert: magick mogrify -format png *{kinds[0]})" if kinds else ""


def in_words(left_out: Mapping[str, int]) -> str:
    """Kinds with their numbers, the most frequent first: `12 .heic, 3 hidden`."""
    ranked = sorted(left_out.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in ranked)
