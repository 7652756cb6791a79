"""Export a network: python projects/thai_ocr/export.py checkpoint=PATH out=FOLDER|PATH.onnx [precision=int8].

A folder is what `paddleocr.TextRecognition(model_name="th_PP-OCRv5_mobile_rec", model_dir=FOLDER)` loads, offline, with
engine="onnxruntime" too; a .onnx is what predict.py and serve.py read with, the charset within.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command
from shared.config.root import ROOT

PROJECT = Path(__file__).resolve().parent.name


def main(checkpoint: str, out: str, precision: str, lines: str, model: str) -> None:
    """Write `out` once it reads `lines` validation lines as the checkpoint does, else UserError.

    `checkpoint` is a training checkpoint, or bare weights (.safetensors, .npz, .pdparams) of `model`; `precision` is
    fp32, int8 (matrix products), or for .onnx fp16 (as stored).
    """
    from projects.thai_ocr.inference.gates import gate_folder, gate_onnx

    net, data = load(checkpoint, model)
    if out.endswith(".onnx"):
        print(gate_onnx(net, data, Path(out), precision, int(lines)))
    else:
        print(gate_folder(net, data, Path(out), precision, int(lines)))
    size = sum(path.stat().st_size for path in [Path(out), *Path(out).glob("*")] if path.is_file())
    print(f"{out}: {size / 1e6:.2f} MB")


def load(checkpoint: str, model: str):
    """The network, averaged weights where the checkpoint has them, ready to read; and its data object."""
    from shared.checkpoints.config import configure
    from shared.paddle.scoring import load as load_checkpoint
    from shared.paddle.scoring import prepared, restored

    path = Path(checkpoint).expanduser()
    if path.suffix == ".ckpt":
        content = load_checkpoint(path)
        data, task = restored(configure(PROJECT, ROOT / "conf", content, []), content)
    else:
        given = [f"model={model}", f"model.weights={path}"]
        data, task = prepared(configure(PROJECT, ROOT / "conf", {}, given))
    task.model.eval()
    return task.model, data


if __name__ == "__main__":
    needed = {"checkpoint": None, "out": None}
    command(__file__, main, {**needed, "precision": "fp32", "lines": "200", "model": "thai_ocr_tiny"})
