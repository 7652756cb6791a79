"""A network as PaddleOCR's own pipeline runs it: a static graph, and the yml that says how to prepare and decode."""

from pathlib import Path
from typing import Any

import paddle
import yaml
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.static import InputSpec

from projects.thai_ocr.inference.line_image import stretch, trim
from shared.ocr.lines.batch import frames
from shared.ocr.script.charset import BLANK, Charset
from shared.paddle.nets.line_recogniser import LineRecogniser

MODEL_NAME = "th_PP-OCRv5_mobile_rec"  # paddleocr refuses names that it does not know
BGR = (0.114, 0.587, 0.299)
WIDTH = 320  # PaddleOCR pads narrower lines to this
MARGIN = 32  # pixels; the convolutions see 27 to either side


class Margin(nn.Layer):
    """A LineRecogniser that reads a line alike whatever stands beside it in a batch.

    What is padded differs from the end of the image in the convolutions' eyes; so each line gets a white margin as
    wide as they see.
    """

    def __init__(self, net: LineRecogniser) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        wider = F.pad(image.astype("float32"), [0, MARGIN, 0, 0], value=255.0)
        return self.net(wider, width)[:, : -frames(MARGIN)]


class Official(nn.Layer):
    """Images as PaddleOCR prepares them -> probabilities (N, frames, classes), classes in its decoder's order.

    Images: (N, 3, height, W) BGR, (pixel / 255 - 0.5) / 0.5, and exactly 0 where a line was padded, which no pixel is.
    The decoder's order: the blank, the characters, the space at the end.
    """

    def __init__(self, net: nn.Layer, charset: Charset) -> None:
        super().__init__()
        self.net = Margin(net) if isinstance(net, LineRecogniser) else net
        self.order = paddle.to_tensor([BLANK, *charset.encode(decoder_characters(charset) + " ")])
        self.nothing = paddle.to_tensor([[[100.0 * (row == BLANK) for row in range(len(charset))]]])

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.net, Margin):
            logits = self.read_grey(x)
        else:
            logits = self.net.scores(x)
        return F.softmax(logits.index_select(self.order, axis=2), axis=2)

    def read_grey(self, x: Tensor) -> Tensor:
        """For the network that wants grey lines, as `shared.ocr.lines.image` prepares them, and their widths."""
        width = (x.abs().sum(axis=[1, 2]) > 0).astype("int64").sum(axis=1)
        grey = (x * paddle.to_tensor(BGR).reshape([1, 3, 1, 1])).sum(axis=1) * 127.5 + 127.5
        line, width = trim(grey.round(), width)
        line = stretch(line, width)
        logits = self.net(line.unsqueeze(1), width)
        own = paddle.arange(logits.shape[1]).unsqueeze(0) < frames(width).unsqueeze(1)
        return paddle.where(own.unsqueeze(2), logits, self.nothing)


def decoder_characters(charset: Charset) -> str:
    """The characters without the space, which PaddleOCR's decoder adds itself."""
    return charset.characters.replace(" ", "")


def write_folder(net: nn.Layer, charset: Charset, height: int, folder: Path) -> None:
    """inference.json, inference.pdiparams and inference.yml, which `paddleocr.TextRecognition` loads."""
    model = Official(net, charset)
    model.eval()
    trace(model, [InputSpec([None, 3, height, None], "float32", "x")], folder / "inference")
    text = yaml.safe_dump(description(charset, height), allow_unicode=True, sort_keys=False)
    (folder / "inference.yml").write_text(text, encoding="utf-8")


def trace(model: nn.Layer, inputs: list[InputSpec], prefix: Path) -> None:
    """Save the network as a static graph: <prefix>.json and <prefix>.pdiparams."""
    paddle.jit.save(paddle.jit.to_static(model, input_spec=inputs, full_graph=True), str(prefix))


def description(charset: Charset, height: int) -> dict[str, Any]:
    """What PaddleOCR's pipeline has to know."""
    resize = {"RecResizeImg": {"image_shape": [3, height, WIDTH]}}
    decode = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
    return {
        "Global": {"model_name": MODEL_NAME},
        "PreProcess": {"transform_ops": [decode, resize]},
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": list(decoder_characters(charset))},
    }
