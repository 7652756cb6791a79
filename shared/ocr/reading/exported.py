"""Exported recognisers: the charset inside the file, smaller versions of it, and the gates they must pass."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from shared.errors import UserError
from shared.files import replaced
from shared.ocr.lines.batch import frames
from shared.ocr.reading.reader import Reader
from shared.ocr.script.charset import Charset
from shared.ocr.script.metrics import error_rates

TOLERANCE = 1e-3  # largest difference of a logit between the framework's network and the exported one
CER_LOST = {"fp32": 0.0, "fp16": 0.001, "int8": 0.003}  # how much worse a smaller file may read


def describe(model: bytes, charset: Charset, height: int) -> bytes:
    """The model with what `Reader` needs to know in its metadata."""
    content = onnx.load_from_string(model)
    language = Path(charset.language).stem  # a file of its own may lie elsewhere tomorrow
    facts = {"characters": charset.characters, "language": language, "height": height}
    helper.set_model_props(content, {"trainyard": json.dumps(facts)})
    return content.SerializeToString()


def compare(model: bytes, inputs: dict[str, np.ndarray], expected: np.ndarray) -> None:
    """Raise UserError unless the exported network scores as the original does, line by line, padding aside."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)[0]
    lengths = frames(inputs["width"])
    worst = max(float(np.abs(a[:n] - b[:n]).max()) for a, b, n in zip(found, expected, lengths, strict=True))
    if worst > TOLERANCE:
        raise UserError(f"the exported network differs by {worst:.2g}", "checkpoint", "report this as a bug")


def shrink(model: bytes, precision: str) -> bytes:
    """fp32: as it is; fp16: weights stored in half, computed in single precision; int8: matrix products in int8."""
    if precision == "fp32":
        return model
    if precision == "fp16":
        return store_in_half(model)
    if precision != "int8":
        raise UserError(f"no precision {precision!r}", "precision", "choose fp32, fp16 or int8")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        quantize_dynamic(
            source, target, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"], per_channel=True
        )
        return target.read_bytes()


def store_in_half(model: bytes) -> bytes:
    """Large weights as fp16 and a cast behind each, which ONNX Runtime folds away when it loads the file."""
    content = onnx.load_from_string(model)
    graph, casts = content.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name, half = weight.name, f"{weight.name}.half"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return content.SerializeToString()


def gate(
    model: bytes,
    smaller: bytes,
    lines: Sequence[np.ndarray],
    texts: Sequence[str],
    language: str,
    precision: str,
) -> str:
    """What both read on `lines`, in words; UserError if the smaller file loses too much."""
    readers = (Reader(each) for each in (model, smaller))
    rates = [error_rates(texts, [r.text for r in each.read(lines)], language)["cer"] for each in readers]
    said = f"CER on {len(lines)} validation lines: {rates[0]:.4f} as fp32, {rates[1]:.4f} as {precision}"
    if rates[1] > rates[0] + CER_LOST[precision]:
        raise UserError(said, "precision", "choose fp16 or fp32")
    return said


def write(model: bytes, path: Path) -> None:
    """Write the file in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary:
            temporary.write_bytes(model)
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", str(path), "choose another file") from error
