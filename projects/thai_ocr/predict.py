"""Read line images: python projects/thai_ocr/predict.py images=FILE|DIR|GLOB [out=preds.tsv]."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number
from shared.errors import UserError

STARTER = Path(__file__).with_name("starter") / "thai_ocr_tiny.onnx"
DEFAULTS = {"images": None, "checkpoint": str(STARTER), "out": "-", "beam": "1"}


def main(images: str, checkpoint: str, out: str, beam: str) -> None:
    """`checkpoint` is an exported .onnx, or what export.py makes one of; out=- prints the table.

    beam=1 reads the best path, as PaddleOCR does from the exported folder; beam=8 follows eight hypotheses with a
    language model of the shipped words, as serve.py does, and reads better.
    """
    from shared.ocr.reading.predict import predict
    from shared.ocr.reading.reader import Reader

    hypotheses = number("beam", beam, 1, 100, "8")
    path = Path(checkpoint).expanduser()
    if path == STARTER and not path.exists():
        raise UserError(
            "no starter weights are shipped yet", "checkpoint", "give checkpoint=PATH of your own"
        )
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix != ".onnx":
            path = exported(path, Path(folder) / "model.onnx")
        predict(Reader(path, beam=hypotheses), images, out)


def exported(checkpoint: Path, path: Path) -> Path:
    """The checkpoint as ONNX."""
    from projects.thai_ocr.export import load
    from projects.thai_ocr.inference.gates import gate_onnx

    gate_onnx(*load(str(checkpoint), "thai_ocr_tiny"), path, "fp32", 1)
    return path


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
