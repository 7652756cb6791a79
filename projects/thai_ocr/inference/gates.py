"""What an exported network must prove before it is written: the same scores, and lines read as before."""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import paddle
from paddle import nn
from paddle.static import InputSpec

from projects.thai_ocr.inference.graph import MODEL_NAME, Margin, trace, write_folder
from shared.errors import UserError
from shared.ocr.lines.batch import pad_lines
from shared.ocr.lines.image import stretch
from shared.ocr.lines.labelled import first_lines
from shared.ocr.reading.exported import TOLERANCE, compare, describe, gate, shrink, write
from shared.ocr.script import ctc
from shared.ocr.script.metrics import error_rates
from shared.paddle.nets.line_recogniser import LineRecogniser

OPSET = 17
LOST = {"fp32": 0.005, "int8": 0.02}  # share of the lines that may read otherwise
EXPORTED = {"inference.json", "inference.pdiparams", "inference.yml", "inference.onnx"}

Lines = list[dict[str, Any]]


def gate_onnx(net: nn.Layer, data: Any, out: Path, precision: str, count: int) -> str:
    """Write the file that `shared.ocr.Reader` reads; what the gate found, in words."""
    if not isinstance(net, LineRecogniser):
        raise UserError(
            "only thai_ocr_tiny reads lines of any width", "out", "give a folder instead of a .onnx"
        )
    inputs = [InputSpec([None, 1, data.height, None], "uint8", "image"), InputSpec([None], "int64", "width")]
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "model"
        net = Margin(net)
        trace(net, inputs, prefix)
        model = describe(to_onnx(prefix), data.charset, data.height)
    batch = {"image": noise((3, 1, data.height, 320)), "width": np.array([320, 200, 16])}
    compare(model, batch, logits(net, batch))
    small = shrink(model, precision)
    lines = first_lines(data.val, count)
    images, texts = ([line[name] for line in lines] for name in ("image", "text"))
    said = gate(model, small, images, texts, data.charset.language, precision)
    write(small, out)
    return said


def gate_folder(net: nn.Layer, data: Any, out: Path, precision: str, count: int) -> str:
    """Write the folder that `paddleocr.TextRecognition` loads, with an ONNX file beside the static graph."""
    if precision not in LOST:
        raise UserError(f"no precision {precision!r} for a folder", "precision", "choose fp32 or int8")
    check_replaceable(out)
    fresh = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", str(out), "choose another folder") from error
    try:
        write_folder(net, data.charset, data.height, fresh)
        content = to_onnx(fresh / "inference")
        same_scores(content, fresh, data.height)
        (fresh / "inference.onnx").write_bytes(shrink(content, precision))
        lines = first_lines(data.val, count)
        # the exported graph stretches the contrast of what it is given, as predict.py does of a file
        seen = lines
        if isinstance(net, LineRecogniser):
            seen = [{**each, "image": stretch(each["image"])} for each in lines]
        expected = read(net, data, seen)
        engines = ["paddle_static"] if precision == "fp32" else []
        language = data.charset.language
        said = [
            compare_lines(lines, expected, fresh, engine, language, precision)
            for engine in [*engines, "onnxruntime"]
        ]
        shutil.rmtree(out, ignore_errors=True)
        fresh.replace(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return "\n".join(said)


def check_replaceable(out: Path) -> None:
    """Raise UserError unless `out` is new or holds an earlier export alone: what is there will be deleted."""
    if not out.name or out.name == "..":
        raise UserError(f"{str(out)!r} is no name for a new folder", "out", "name one, such as out=mine")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is a file or a link", "out", "give a folder, or a name that ends in .onnx")
    others = sorted(path.name for path in out.glob("*") if path.name not in EXPORTED)
    if others:
        raise UserError(f"{out} holds {others[0]}, which is no export's", "out", "give a new or empty folder")


def to_onnx(prefix: Path) -> bytes:
    """The static graph at `prefix` as ONNX, its constants folded: int8 wants weights that are constants."""
    import paddle2onnx

    with tempfile.TemporaryDirectory() as folder:
        raw, folded = str(Path(folder) / "raw.onnx"), str(Path(folder) / "folded.onnx")
        graph = [f"{prefix}.json", f"{prefix}.pdiparams"]
        paddle2onnx.export(*graph, raw, opset_version=OPSET, optimize_tool="None")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath, options.log_severity_level = folded, 3
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        return Path(folded).read_bytes()


def same_scores(model: bytes, folder: Path, height: int) -> None:
    """Raise UserError unless ONNX Runtime finds the probabilities that Paddle's own static graph finds."""
    image = (noise((2, 3, height, 320)) / np.float32(127.5) - 1).astype(np.float32)
    image[1, :, :, 200:] = 0
    static = paddle.jit.load(str(folder / "inference"))
    static.eval()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: image})[0]
    worst = float(np.abs(found - static(paddle.to_tensor(image)).numpy()).max())
    if not worst <= TOLERANCE:
        raise UserError(f"ONNX differs from Paddle by {worst:.2g}", "checkpoint", "report this as a bug")


def compare_lines(
    lines: Lines, expected: list[str], folder: Path, engine: str, language: str, precision: str
) -> str:
    """Raise UserError unless PaddleOCR's pipeline reads the lines as the network itself does."""
    found = read_officially([line["image"] for line in lines], folder, engine)
    same = np.mean([a == b for a, b in zip(found, expected, strict=True)])
    texts = [line["text"] for line in lines]
    right = [error_rates(texts, each, language)["line_accuracy"] for each in (expected, found)]
    said = f"{engine}: {100 * same:.1f} % of {len(lines)} validation lines read as before ({precision}); "
    said += f"line accuracy {right[0]:.4f} before, {right[1]:.4f} now"
    if same < 1 - LOST[precision]:
        raise UserError(
            said, "precision" if precision == "int8" else "checkpoint", "keep the checkpoint, or fp32"
        )
    return said


def read(net: nn.Layer, data: Any, lines: Lines) -> list[str]:
    """What the network itself reads, line by line."""
    found = []
    for line in lines:
        batch = pad_lines([line])
        frames = net.frames(batch["width"], batch["image"].shape[3])[0]
        scores = logits(Margin(net) if isinstance(net, LineRecogniser) else net, batch)
        found.append(data.charset.decode(ctc.greedy(scores[0][:frames])[0]))
    return found


def read_officially(images: list[np.ndarray], folder: Path, engine: str = "paddle_static") -> list[str]:
    """What `paddleocr.TextRecognition` reads on grey lines, in batches of eight, without a network."""
    os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
    from paddleocr import TextRecognition

    level = logging.root.level
    reader = TextRecognition(model_name=MODEL_NAME, model_dir=str(folder), device="cpu", engine=engine)
    logging.root.setLevel(level)
    colour = [np.repeat(image[:, :, None], 3, axis=2) for image in images]
    return [result["rec_text"] for result in reader.predict(colour, batch_size=8)]


def logits(net: nn.Layer, batch: dict[str, Any]) -> np.ndarray:
    with paddle.no_grad():
        return net(paddle.to_tensor(batch["image"]), paddle.to_tensor(batch["width"])).numpy()


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
