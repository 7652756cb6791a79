"""Trial and training lists as people write them: any line ends, tabs, spaces in names, a byte order mark."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from shared.errors import UserError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
QUOTED = re.compile(r'(\S+)\s+"([^"]+)"\s+"([^"]+)"')
BY_SUFFIX = re.compile(r"(\S+)\s+(\S.*?\.(?:wav|wave|flac))\s+(\S.*)", re.IGNORECASE)


def read_rows(path: Path, key: str, mend: str) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and texts of the lines that are not blank; UserError names `key` and says `mend`."""
    try:
        data = path.read_bytes()
        coding = next((coding for mark, coding in MARKS.items() if data.startswith(mark)), "utf-8")
        lines = data.decode(coding).splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", key, mend) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8: byte {error.start}", key, mend) from error
    return ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


def split_trial(line: str) -> list[str]:
    """Label and two names, separated by tabs, or by spaces that may also be in names: up to a suffix, or in quotes."""
    if len(fields := [field.strip() for field in line.split("\t") if field.strip()]) == 3:
        return [fields[0], *map(plain_name, fields[1:])]
    if len(fields := line.split()) == 3:
        return [fields[0], *map(plain_name, fields[1:])]
    found = QUOTED.fullmatch(line) or BY_SUFFIX.fullmatch(line)
    return [found[1], plain_name(found[2]), plain_name(found[3])] if found else []


def plain_name(name: str) -> str:
    """A path with slashes, as it is written here: `id1\\video\\a.wav` and `./id1/video/a.wav` are id1/video/a.wav."""
    name = name.strip('"')
    name = name if "/" in name else name.replace("\\", "/")
    return name.removeprefix("./")
