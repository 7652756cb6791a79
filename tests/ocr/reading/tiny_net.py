"""A recogniser as ONNX that needs no training framework: it reads the grey level of every second column."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHARACTERS = "កខគ"


def stripes(language: str | None = None) -> bytes:
    """Class = 4 - mean ink of a frame / 64: white is blank, darker columns are ក, ខ, គ."""
    nodes = [
        helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["grey"], ["frames"], kernel_shape=[32, 2], strides=[32, 2]),
        helper.make_node("Squeeze", ["frames", "one_two"], ["level"]),
        helper.make_node("Unsqueeze", ["level", "two"], ["column"]),
        helper.make_node("Sub", ["column", "centres"], ["distance"]),
        helper.make_node("Abs", ["distance"], ["absolute"]),
        helper.make_node("Mul", ["absolute", "sharpness"], ["logits"]),
        helper.make_node("Identity", ["width"], ["unused"]),
    ]
    constants = {
        "one_two": np.array([1, 2]),
        "two": np.array([2]),
        "centres": np.array([[[255.0, 170.0, 85.0, 0.0]]], np.float32),
        "sharpness": np.array(-0.2, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "stripes",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 1, 32, "w"]),
            helper.make_tensor_value_info("width", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "t", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    made_for = {"language": language} if language else {"script": "khmer"}  # as files of before have it
    facts = {"characters": CHARACTERS, "height": 32, **made_for}
    helper.set_model_props(model, {"trainyard": json.dumps(facts)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def line(text: str, gap: int = 4, letter: int = 8) -> np.ndarray:
    """An image on which `stripes` reads `text`."""
    levels = {" ": 255, "ក": 170, "ខ": 85, "គ": 0}
    columns: list[int] = []
    for character in text:
        columns += [levels[character]] * letter + [255] * gap
    return np.tile(np.array(columns, np.uint8), (32, 1))
