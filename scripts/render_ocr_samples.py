"""Render what a person should look at: a page with every font, and a folder of labelled sample lines.

    python scripts/render_ocr_samples.py khmer_ocr --page docs/khmer_samples.png --lines docs/samples/khmer

The lines are the first of the project's validation set: fonts and words that training never sees. On the page look for
subscripts below, vowels in front, no dotted circles and no boxes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

import hydra
from PIL import Image

from shared.config.root import ROOT
from shared.data.draws import SampleKey
from shared.fit.build import build
from shared.ocr.reading.pictures import specimen
from shared.ocr.script.language import find_language


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", help="khmer_ocr or thai_ocr")
    parser.add_argument("--page", type=Path, help="PNG to write the page of fonts to")
    parser.add_argument("--lines", type=Path, help="folder to write sample lines and labels.tsv to")
    parser.add_argument("--count", type=int, default=24, help="number of sample lines")
    given = parser.parse_args()
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose(given.project, overrides=["run_dir=unused"])
    data = build(cfg.data, "data")
    if given.page:
        given.page.parent.mkdir(parents=True, exist_ok=True)
        texts = find_language(data.charset.language).samples
        fonts = sorted(data.families[0] + data.families[1])
        Image.fromarray(specimen(fonts, texts)).save(given.page, optimize=True)
    if given.lines:
        write_lines(data.val, given.lines, given.count)


def write_lines(lines, folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        line = lines[SampleKey(0, index)]
        name = f"line_{index:02d}.png"
        Image.fromarray(line["image"]).save(folder / name)
        rows.append(f"{name}\t{line['text']}\n")
    (folder / "labels.tsv").write_text("file\ttext\n" + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
