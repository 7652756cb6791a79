"""Read line images: python projects/khmer_ocr/predict.py images=FILE|DIR|GLOB [checkpoint=PATH] [out=preds.tsv]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.cli import command

STARTER = Path(__file__).with_name("starter") / "khmer_ocr_tiny.onnx"


def main(images: str, checkpoint: str, out: str) -> None:
    """`checkpoint` is an exported .onnx, or a .ckpt or .pth that is exported first; out=- prints the table."""
    from shared.ocr.predict import predict
    from shared.ocr.reader import Reader

    if checkpoint.endswith(".onnx"):
        reader = Reader(Path(checkpoint))
    else:
        from projects.khmer_ocr.export import export

        reader = Reader(export(Path(checkpoint)))
    predict(reader, images, out)


if __name__ == "__main__":
    command(__file__, main, {"images": None, "checkpoint": str(STARTER), "out": "-"})
