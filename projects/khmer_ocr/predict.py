"""Read lines and pages: python projects/khmer_ocr/predict.py images=FILE|DIR|GLOB [out=page.pdf]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number

STARTER = Path(__file__).with_name("starter") / "khmer_ocr_tiny.onnx"
DEFAULTS = {"images": None, "checkpoint": str(STARTER), "out": "-", "beam": "8", "mode": "auto"}


def main(images: str, checkpoint: str, out: str, beam: str, mode: str) -> None:
    """`checkpoint` is an exported .onnx, or a .ckpt or .pth that is exported first; out=- prints a table of lines.

    out=FILE.tsv|txt|json|hocr|xml|pdf writes them; mode=line or mode=page says what the images are, auto finds out.
    beam=8: hypotheses of the search, with a language model of the shipped words; 1 reads the best path.
    """
    from shared.ocr.pages.predict import predict
    from shared.ocr.reading.reader import Reader
    from shared.ocr.script.language import find_language

    hypotheses = number("beam", beam, 1, 100, "8")
    model: Path | bytes = Path(checkpoint)
    if not checkpoint.endswith(".onnx"):
        from projects.khmer_ocr.export import export

        model = export(Path(checkpoint))
    predict(Reader(model, beam=hypotheses), images, out, mode, find_language("khmer"))


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
