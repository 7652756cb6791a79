"""ImageNet's validation set as it is handed out: 50,000 files in one folder and a list of their classes."""

import csv
from pathlib import Path

from shared.data.folder import Split, image_files
from shared.errors import UserError

KAGGLE, PLAIN, DEVKIT = "LOC_val_solution.csv", "val_labels.txt", "ILSVRC2012_validation_ground_truth.txt"
DEVKIT_FOLDER = "ILSVRC2012_devkit_t12/data"


def scan_flat(folder: Path, classes: list[str], label_folders: list[Path]) -> Split:
    """Label a flat validation folder from the first ground-truth file found in `label_folders`."""
    paths = image_files(folder)
    source, truth = read_truth(folder, paths, label_folders)
    labels, index = [], {name: label for label, name in enumerate(classes)}
    for path in paths:
        name = truth.get(Path(path).stem)
        if name not in index:
            problem = "has no line in" if name is None else f"has the unknown class {name} in"
            raise UserError(
                f"{path} {problem} the ground truth", str(source), "use the file of this data set"
            )
        labels.append(index[name])
    return Split(classes, paths, labels)


def read_truth(folder: Path, paths: list[str], label_folders: list[Path]) -> tuple[Path, dict[str, str]]:
    """The ground-truth file and the class name it gives to each file stem."""
    readers = {KAGGLE: read_kaggle, PLAIN: read_plain, DEVKIT: lambda source: read_devkit(source, paths)}
    for name, read in readers.items():
        for parent in label_folders:
            if (parent / name).is_file():
                try:
                    return parent / name, read(parent / name)
                except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
                    raise UserError(
                        f"not a ground-truth file: {error}", str(parent / name), "get it again"
                    ) from error
    what = "images without class folders and no ground truth for them"
    raise UserError(what, str(folder), f"put {KAGGLE}, {PLAIN} or {DEVKIT} and meta.mat beside it")


def read_kaggle(source: Path) -> dict[str, str]:
    """Columns ImageId, PredictionString; the latter is `wnid left top right bottom ...`."""
    with source.open(newline="") as file:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}


def read_plain(source: Path) -> dict[str, str]:
    """Lines `file-name class-name`."""
    rows = [line.split() for line in source.read_text().splitlines() if line.strip()]
    return {Path(row[0]).stem: row[1] for row in rows}


def read_devkit(source: Path, paths: list[str]) -> dict[str, str]:
    """One ILSVRC id (1-1000) a line, in the order of the file names; meta.mat beside it names the classes."""
    from scipy.io import loadmat  # only needed here

    meta = source.parent / "meta.mat"
    if not meta.is_file():
        raise UserError(
            f"no {meta.name}, which names the classes of its ids", str(source), "put it beside this file"
        )
    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
    except Exception as error:  # scipy raises whatever the damage leads to
        raise ValueError(f"{meta.name} cannot be read") from error
    wnid = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    ids = [int(line) for line in source.read_text().split()]
    if len(ids) != len(paths):
        raise ValueError(f"{len(ids)} lines for {len(paths)} images")
    return {Path(path).stem: wnid[number] for path, number in zip(paths, ids, strict=True)}
