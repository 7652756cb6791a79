"""What became of each class: a table and a picture of the confusion matrix."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from shared.files import replaced, write_atomically

COLUMNS = ("class", "clips", "precision", "recall", "f1", "most_often_taken_for", "times")


def write_report(folder: Path, matrix: np.ndarray, names: list[str]) -> None:
    """Write `classes.tsv`, the worst first, and `confusion.png`; `matrix` counts clips by (class, answer)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(row) + "\n" for row in (COLUMNS, *rows(matrix, names))]
    write_atomically(folder / "classes.tsv", "".join(lines))
    with replaced(folder / "confusion.png") as temporary:
        draw(matrix, names).savefig(temporary, format="png")


def rows(matrix: np.ndarray, names: list[str]) -> list[tuple[str, ...]]:
    """One row a class, sorted by F1; shares that have no denominator are 0."""
    right, clips, answers = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    precision, recall = right / answers.clip(1), right / clips.clip(1)
    f1 = 2 * right / (clips + answers).clip(1)
    wrong = matrix - np.diag(right)
    found = []
    for each in np.argsort(f1, kind="stable"):
        other = int(wrong[each].argmax())
        mistaken = names[other] if wrong[each, other] else ""
        shares = (f"{value[each]:.4f}" for value in (precision, recall, f1))
        found.append((names[each], str(clips[each]), *shares, mistaken, str(wrong[each, other])))
    return found


def draw(matrix: np.ndarray, names: list[str]) -> Figure:
    """Each class's row in shares of its clips."""
    side = min(24.0, 3 + 0.16 * len(names))
    figure = Figure((side, side), dpi=80, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix / matrix.sum(1, keepdims=True).clip(1), cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("answer"), axes.set_ylabel("class")
    size = 6 if len(names) > 30 else 9
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    figure.colorbar(image, shrink=0.6, label="share of the class's clips")
    return figure
