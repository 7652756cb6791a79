"""Read line images: python projects/khmer_ocr/predict.py images=FILE|DIR|GLOB [out=preds.tsv]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number

STARTER = Path(__file__).with_name("starter") / "khmer_ocr_tiny.onnx"
DEFAULTS = {"images": None, "checkpoint": str(STARTER), "out": "-", "beam": "8"}


def main(images: str, checkpoint: str, out: str, beam: str) -> None:
    """`checkpoint` is an exported .onnx, or a .ckpt or .pth that is exported first; out=- prints the table.

    beam=8: hypotheses of the search, with a language model of the shipped words; 1 reads the best path.
    """
    from shared.ocr.reading.predict import predict
    from shared.ocr.reading.reader import Reader

    hypotheses = number("beam", beam, 1, 100, "8")
    model: Path | bytes = Path(checkpoint)
    if not checkpoint.endswith(".onnx"):
        from projects.khmer_ocr.export import export

        model = export(Path(checkpoint))
    predict(Reader(model, beam=hypotheses), images, out)


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
