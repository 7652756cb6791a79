"""Read line images: python projects/khmer_ocr/predict.py images=FILE|DIR|GLOB [out=preds.tsv]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.cli import ROOT, command
from shared.errors import UserError

STARTER = Path(__file__).with_name("starter") / "khmer_ocr_tiny.onnx"
WORDS = ROOT / "assets" / "words" / "khmer.txt.gz"


def main(images: str, checkpoint: str, out: str, beam: str) -> None:
    """`checkpoint` is an exported .onnx, or a .ckpt or .pth that is exported first; out=- prints the table.

    beam=8 searches with eight hypotheses and a character language model of the shipped words; slower.
    """
    from shared.ocr.predict import predict
    from shared.ocr.reader import Reader

    model: Path | bytes = Path(checkpoint)
    if not checkpoint.endswith(".onnx"):
        from projects.khmer_ocr.export import export

        model = export(Path(checkpoint))
    reader = Reader(model)
    if beam != "1":
        reader.search_with(WORDS, width(beam))
    predict(reader, images, out)


def width(beam: str) -> int:
    if not beam.isdigit() or int(beam) < 1:
        raise UserError(f"{beam!r} is no number of hypotheses", "beam", "give 1 (the best path) or, say, 8")
    return int(beam)


if __name__ == "__main__":
    command(__file__, main, {"images": None, "checkpoint": str(STARTER), "out": "-", "beam": "1"})
