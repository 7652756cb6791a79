"""PP-OCRv5's mobile recogniser, the network that the `paddlex` package carries, and lines as PaddleOCR has them."""

import re
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from projects.thai_ocr.weights import load_weights

STRIDE, LEAST = 8, 320  # pixels of width behind an output frame; PaddleOCR pads narrower lines to this
BLOCKS = [  # kernel, channels in and out, stride, squeeze and excitation: PP-LCNetV3 with the strides of a recogniser
    [[3, 16, 32, 1, False]],
    [[3, 32, 64, 1, False], [3, 64, 64, 1, False]],
    [[3, 64, 128, [2, 1], False], [3, 128, 128, 1, False]],
    [[3, 128, 256, [1, 2], False], *[[5, 256, 256, 1, False]] * 4],
    [
        [5, 256, 512, [2, 1], True],
        [5, 512, 512, 1, True],
        [5, 512, 512, [2, 1], False],
        [5, 512, 512, 1, False],
    ],
]
RENAMED = [  # PaddleOCR's own names -> paddlex's
    (r"^backbone\.conv1\.", "model.backbone.encoder.convolution."),
    (
        r"^backbone\.blocks(\d)\.(\d)\.",
        lambda m: f"model.backbone.encoder.blocks.{int(m[1]) - 2}.layers.{m[2]}.",
    ),
    (r"\.dw_conv\.", ".depthwise_convolution."),
    (r"\.pw_conv\.", ".pointwise_convolution."),
    (r"\.conv_kxk\.", ".conv_symmetric."),
    (r"\.conv_1x1\.", ".conv_small_symmetric."),
    (r"\.bn\.", ".normalization."),
    (r"\.se\.conv1\.", ".squeeze_excitation_module.convolutions.0."),
    (r"\.se\.conv2\.", ".squeeze_excitation_module.convolutions.2."),
    (r"^head\.ctc_encoder\.encoder\.conv(\d)\.", lambda m: f"head.encoder.conv_block.{int(m[1]) - 1}."),
    (r"^head\.ctc_encoder\.encoder\.conv1x1\.", "head.encoder.conv_block.4."),
    (r"^head\.ctc_encoder\.encoder\.", "head.encoder."),
    (r"^head\.ctc_head\.fc\.", "head.head."),
    (r"(conv_block\.\d)\.norm\.", r"\1.normalization."),
    (r"\.conv\.", ".convolution."),
    (r"\.mixer\.", ".self_attn."),
    (r"\.proj\.", ".projection."),
    (r"(svtr_block\.\d)\.norm", r"\1.layer_norm"),
]


def official_image(image: Tensor, width: Tensor, least: int) -> Tensor:
    """Grey lines (N, 1, H, W) uint8 -> (N, 3, H, max(W, least)) in [-1, 1], 0 beyond each line's width."""
    x = image.astype("float32") / 127.5 - 1
    inside = (paddle.arange(x.shape[3]).unsqueeze(0) < width.unsqueeze(1)).astype(x.dtype)
    x = (x * inside.unsqueeze([1, 2])).tile([1, 3, 1, 1])
    return F.pad(x, [0, max(0, least - x.shape[3]), 0, 0])


class PPOCRv5Mobile(nn.Layer):
    """Lines (N, 1, 48, W) uint8 -> CTC logits (N, max(320, W) / 8, classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        from paddlex.inference.models.text_recognition.modeling import PPOCRV5MobileRec
        from paddlex.inference.models.text_recognition.modeling._config_pp_ocrv5_mobile_rec import (
            PPOCRV5MobileRecConfig,
        )

        backbone = {"scale": 0.95, "divisor": 16, "block_configs": BLOCKS}
        net = PPOCRV5MobileRec(
            PPOCRV5MobileRecConfig(backbone_config=backbone, head_out_channels=num_classes)
        )
        self.model, self.head = net.model, net.head

    def forward(self, image: Tensor, width: Tensor) -> Tensor:
        return self.scores(official_image(image, width, LEAST))

    def scores(self, x: Tensor) -> Tensor:
        """Logits of images as PaddleOCR prepares them: (N, 3, 48, W) in [-1, 1], 0 beyond the line."""
        return self.head.head(self.head.encoder(self.model(x)))

    def frames(self, width: Any, pixels: int) -> Any:
        """Output frames of lines `width` wide in a batch of `pixels`: all, as PaddleOCR decodes the padding, too."""
        return width * 0 + max(LEAST, pixels) // STRIDE


def ppocrv5_mobile(
    num_classes: int, height: int, characters: str, weights: str | None = None
) -> PPOCRv5Mobile:
    """The network for `characters`, fresh or with the weights of a file under paddlex's names or PaddleOCR's."""
    if height != 48:
        raise ValueError(f"height must be 48 pixels, not {height}: set data.height=48")
    model = PPOCRv5Mobile(num_classes)
    if weights is not None:
        load_weights(model, weights, characters, ("head.head.weight", "head.head.bias"), paddlex_name)
    return model


def paddlex_name(name: str) -> str:
    """PaddleOCR's name of a tensor of this network as paddlex has it; paddlex's own stay as they are."""
    if name.startswith("model."):
        return name
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
