"""Read lines and pages: python projects/thai_ocr/predict.py images=FILE|DIR|GLOB [out=page.pdf]."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number
from shared.errors import UserError

STARTER = Path(__file__).with_name("starter") / "thai_ocr_tiny.onnx"
DEFAULTS = {"images": None, "checkpoint": str(STARTER), "out": "-", "beam": "8", "mode": "auto"}


def main(images: str, checkpoint: str, out: str, beam: str, mode: str) -> None:
    """`checkpoint` is an exported .onnx, or what export.py makes one of; out=- prints a table of lines.

    out=FILE.tsv|txt|json|hocr|xml|pdf writes them; mode=line or mode=page says what the images are, auto finds out.
    beam=8: hypotheses of the search, with a language model of the shipped words; beam=1 reads the best path, as
    PaddleOCR does from the exported folder.
    """
    from shared.ocr.pages.predict import predict
    from shared.ocr.reading.reader import Reader
    from shared.ocr.script.language import find_language

    hypotheses = number("beam", beam, 1, 100, "8")
    path = Path(checkpoint).expanduser()
    if path == STARTER and not path.exists():
        raise UserError(
            "no starter weights are shipped yet", "checkpoint", "give checkpoint=PATH of your own"
        )
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix != ".onnx":
            path = exported(path, Path(folder) / "model.onnx")
        predict(Reader(path, beam=hypotheses), images, out, mode, find_language("thai"))


def exported(checkpoint: Path, path: Path) -> Path:
    """The checkpoint as ONNX."""
    from projects.thai_ocr.export import load
    from projects.thai_ocr.inference.gates import gate_onnx

    gate_onnx(*load(str(checkpoint), "thai_ocr_tiny"), path, "fp32", 1)
    return path


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
