"""Who is trained on and who is validated: official lists, or class folders split by source, so that none is in both."""

import hashlib
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from shared.data.folder import Split, class_folders, find_files, in_words, is_hidden
from shared.errors import UserError

log = logging.getLogger(__name__)

EXTENSIONS = (
    ".avi", ".divx", ".xvid", ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".mpv", ".m1v",
    ".m2v", ".vob", ".mod", ".tod", ".wmv", ".asf", ".flv", ".f4v", ".ts", ".mts", ".m2ts", ".m2t", ".trp", ".3gp",
    ".3g2", ".ogv", ".ogm", ".rm", ".rmvb", ".dv", ".mxf", ".wtv", ".nut", ".ivf", ".h264", ".264", ".avc", ".h265",
    ".265", ".hevc",
)  # fmt: skip
TRAIN, VAL = ("train", "training"), ("val", "valid", "validation", "test", "testing")
VAL_SHARE = 0.2
MEND = "get the official lists again, or move them away to split class folders by source"
# UCF101 (v_Class_g01_c02: the second clip of group 1), and clips that say which part of a film they are.
SOURCES = (
    re.compile(r"(.+_g\d+)_c\d+"),
    re.compile(r"(.+)[_-](?:clip|part|scene|shot)[_-]?\d+", re.IGNORECASE),
)


def read_splits(root: Path, number: int) -> tuple[Split, Split]:
    """Training and validation videos of UCF101 or HMDB51 (official split `number`) or of class folders."""
    if not root.is_dir():
        raise UserError(f"no folder {root}", "data.root", "point it at the folder of the videos")
    if lists := sorted(root.rglob("trainlist0?.txt")):
        found = read_ucf(root, lists[0].parent, number)
    elif lists := sorted(root.rglob("*_test_split?.txt")):
        found = read_hmdb(root, lists[0].parent, number)
    elif train := split_folder(root, TRAIN):
        if (val := split_folder(root, VAL)) is None:
            found = split_by_source(scan(train))
            log.warning("no folder of validation videos beside %s: a fifth of its sources validates", train)
            return found
        found = scan(train), scan(val)
    else:
        return split_by_source(scan(root))
    compare(*found)
    return found


def split_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The folder of a split by the first of its usual names that is there, however they are written."""
    folders = {name.lower(): name for name in class_folders(root)}
    return next((root / folders[name] for name in names if name in folders), None)


def read_ucf(root: Path, lists: Path, number: int) -> tuple[Split, Split]:
    """`trainlist01.txt` and `testlist01.txt`: lines `Class/v_Class_g01_c01.avi [label]`."""
    parts = []
    for name in (f"trainlist{number:02d}.txt", f"testlist{number:02d}.txt"):
        rows = [line.split()[0] for line in read_lines(lists / name)]
        if odd := [row for row in rows if row.count("/") != 1]:
            raise UserError(f"not `Class/file.avi`: {odd[0]}", str(lists / name), MEND)
        parts.append([row.split("/") for row in rows])
    return resolve(root, parts, lists)


def read_hmdb(root: Path, lists: Path, number: int) -> tuple[Split, Split]:
    """`<class>_test_split1.txt`: lines `file.avi 1` (train), `file.avi 2` (test), `file.avi 0` (neither)."""
    ending = f"_test_split{number}.txt"
    parts: list[list[list[str]]] = [[], []]
    for table in sorted(lists.glob(f"*{ending}")):
        for line in read_lines(table):
            file, _, use = line.strip().rpartition(" ")
            if use not in ("0", "1", "2") or not file:
                raise UserError(f"not `file.avi 0|1|2`: {line}", str(table), MEND)
            if use != "0":
                parts[int(use) - 1].append([table.name.removesuffix(ending), file.strip()])
    return resolve(root, parts, lists)


def read_lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read a list of data.split: {error}", str(path), MEND) from error


def resolve(root: Path, parts: list[list[list[str]]], lists: Path) -> tuple[Split, Split]:
    """Find the listed (class, file) pairs below the root, whatever the folder of the class folders is called."""
    known = {(path.parent.name, path.name): str(path) for path in videos(root)}
    listed = [tuple(pair) for part in parts for pair in part]
    if missing := [pair for pair in listed if pair not in known]:
        what = f"{len(missing)} of {len(listed)} listed videos are not there, such as {'/'.join(missing[0])}"
        raise UserError(what, "data.root", f"unpack all videos below {root}")
    if not all(parts):
        raise UserError("the lists name no videos for this split", str(lists), "choose another data.split")
    classes = sorted({name for name, _ in listed})
    index = {name: label for label, name in enumerate(classes)}
    train, val = (
        Split(classes, [known[name, file] for name, file in part], [index[name] for name, _ in part])
        for part in parts
    )
    return train, val


def scan(folder: Path) -> Split:
    """Videos of class folders; a class without any is refused, one class alone and what is left out are said."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}", "data.root", "give train/ and val/, or class folders alone")
    left_out: Counter[str] = Counter()
    found = Split(class_folders(folder, left_out), [], [])
    if not found.classes:
        raise UserError("no class folders", str(folder), "put each class's videos into a folder of its name")
    for label, name in enumerate(found.classes):
        others: Counter[str] = Counter()
        files = find_files(folder / name, is_video, others, home=folder)
        if not files:
            held = f", but {in_words(others)}" if others else ""
            raise UserError(
                f"a class folder without videos{held}", str(folder / name), "fill it, or delete it"
            )
        found.paths.extend(files)
        found.labels.extend([label] * len(files))
        left_out.update(others)
    if left_out:
        log.warning("left out     %s in %s: no videos by their names", in_words(left_out), folder)
    if len(found.classes) == 1:
        log.warning("only one class, %s, in %s: there is nothing to tell apart", found.classes[0], folder)
    return found


def is_video(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not is_hidden(name)


def videos(folder: Path) -> Iterator[Path]:
    """Files with a video's suffix, whatever is in them."""
    yield from map(Path, find_files(folder, is_video))


def source(path: str) -> str:
    """What a clip was cut from: clips of one film look alike, and must stay on one side of the split."""
    stem, name = Path(path).stem, Path(path).parent.name
    if f"_{name}_" in stem and not stem.startswith("v_"):  # HMDB51: film_class_...
        return stem.split(f"_{name}_")[0]
    return next((match[1] for pattern in SOURCES if (match := pattern.fullmatch(stem))), stem)


def split_by_source(every: Split) -> tuple[Split, Split]:
    """A fifth of each class's clips for validation, by whole sources, in an order that hashes of their names give."""
    sides: tuple[Split, Split] = Split(every.classes, [], []), Split(every.classes, [], [])
    for label, name in enumerate(every.classes):
        groups = defaultdict(list)
        for path, own in zip(every.paths, every.labels, strict=True):
            if own == label:
                groups[source(path)].append(path)
        if len(groups) < 2:
            what = f"class {name} has a single source, {next(iter(groups))}"
            raise UserError(what, "data.root", "add clips of other sources, or split into train/ and val/")
        order = sorted(groups, key=lambda group: hashlib.sha256(group.encode(errors="replace")).digest())
        wanted, taken = VAL_SHARE * sum(map(len, groups.values())), 0
        for group in order:
            held_out = taken < wanted and group != order[-1]
            taken += len(groups[group]) * held_out
            sides[held_out].paths.extend(groups[group])
            sides[held_out].labels.extend([label] * len(groups[group]))
    return sides


def compare(train: Split, val: Split) -> None:
    """Refuse sides of different classes, and warn of clips that share a source across them."""
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))
        what = f"training and validation differ in {len(odd)} classes, such as {odd[0]}"
        raise UserError(what, "data.root", "give both the same classes")
    if leaks := shared_sources(train.paths, val.paths):
        log.warning("%d validated clips share a source with training, such as %s", len(leaks), leaks[0])


def shared_sources(train: list[str], val: list[str]) -> list[str]:
    """Validated files cut from the same source as a training file of their class, by their names."""

    def origin(path: str) -> tuple[str, str]:
        return Path(path).parent.name, source(path)

    known = {origin(path) for path in train if source(path) != Path(path).stem}
    return [path for path in val if origin(path) in known]
