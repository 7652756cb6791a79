"""Audit labelled line images: what cannot be trained on, what leaks, how long lines are; and an 80/20 split.

    python scripts/audit_ocr.py data/receipts --charset khmer --out audit --split

ROOT holds labels.tsv (file<TAB>text), PaddleOCR's label files or LMDBs. --out gets audit.json and audit.png; with
--split also train.tsv and val.tsv, which data.root=OUT then trains on. Exit code 1 if there are problems.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.errors import UserError
from shared.ocr.lines import audit
from shared.ocr.lines.tables import find_table, read_table
from shared.ocr.script.charset import Charset


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder with the labels")
    parser.add_argument(
        "--charset", default="khmer", help="a language, a name in shared/ocr/charsets, or a YAML file"
    )
    parser.add_argument("--height", type=int, default=40, help="pixels of a line in the recogniser")
    parser.add_argument("--out", type=Path, default=Path("audit"), help="folder for the report")
    names = "train.tsv and val.tsv, or PaddleOCR's train_list.txt and val_list.txt"
    parser.add_argument(
        "--split", nargs="?", const="tsv", choices=("tsv", "paddleocr"), help=f"write {names}, 80/20"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(given: argparse.Namespace) -> int:
    charset = Charset.load(given.charset)
    tables = {split: path for split in ("all", "train", "val") if (path := find_table(given.root, split))}
    if not tables:
        raise UserError("no labels", str(given.root), "put labels.tsv (file<TAB>text) there")
    facts = {
        split: [audit.inspect_line(line, charset, given.height) for line in read_table(path)]
        for split, path in tables.items()
    }
    given.out.mkdir(parents=True, exist_ok=True)
    every = [fact for found in facts.values() for fact in found]
    found = audit.report(facts, charset)
    (given.out / "audit.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    audit.draw_histograms(every, given.out / "audit.png")
    if given.split:
        for name, lines in zip(("train", "val"), audit.split(every, charset, given.seed), strict=True):
            write_split(given.out / (f"{name}.tsv" if given.split == "tsv" else f"{name}_list.txt"), lines)
            print(f"{name:<24} {len(lines):>7} lines")
    for name, count in found["problems"].items():
        print(f"{name:<24} {count:>7}")
    return int(any(found["problems"].values()))


def write_split(path: Path, lines: list[audit.Facts]) -> None:
    """Image paths relative to the table, so that the two may move together."""
    rows = [f"{os.path.relpath(fact.line.image, path.parent)}\t{fact.text}\n" for fact in lines]
    head = "file\ttext\n" if path.suffix == ".tsv" else ""
    path.write_text(head + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
