"""Export a checkpoint: python projects/khmer_ocr/export.py checkpoint=PATH out=PATH.onnx|.pth [precision=int8]."""

import io
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command
from shared.config.root import ROOT

PROJECT = Path(__file__).resolve().parent.name


def main(checkpoint: str, out: str, precision: str, lines: str) -> None:
    """Write `out` once it reads `lines` validation lines as the checkpoint does; precision fp32, fp16 (as stored) or
    int8 (matrix products). An `out` that ends in .pth gets the bare weights in fp16, to train on from; .safetensors the
    same in fp32 with the charset beside them, which thai_ocr takes as model.weights, too."""
    from shared.ocr.reading.exported import gate, shrink, write

    if out.endswith(".pth"):
        content = weights(Path(checkpoint))
    elif out.endswith(".safetensors"):
        content = named_weights(Path(checkpoint))
    else:
        model = export(Path(checkpoint))
        content = shrink(model, precision)
        print(gate(model, content, *validation_lines(Path(checkpoint), int(lines)), precision))
    write(content, Path(out))
    print(f"{out}: {len(content) / 1e6:.2f} MB")


def weights(checkpoint: Path) -> bytes:
    """The network's state dict, floating-point tensors as fp16, in torch's format."""
    import torch

    buffer = io.BytesIO()
    torch.save(halved(load(checkpoint)[0]), buffer)
    return buffer.getvalue()


def named_weights(checkpoint: Path) -> bytes:
    """The same as safetensors, its characters in the metadata: thai_ocr reads them without torch."""
    from safetensors.torch import save

    model, data = load(checkpoint)
    return save(halved(model), metadata={"characters": data.charset.characters})


def halved(model):
    """The network's state dict, floating-point tensors as fp16."""
    state = model.state_dict().items()
    return {
        name: t.half() if t.is_floating_point() else t for name, t in ((n, t.contiguous()) for n, t in state)
    }


def export(checkpoint: Path) -> bytes:
    """The checkpoint's network as ONNX, its charset within; it scores like torch's or UserError is raised."""
    import torch

    from shared.ocr.reading.exported import compare, describe

    model, data = load(checkpoint)
    image = torch.randint(0, 256, (2, 1, data.height, 96), dtype=torch.uint8)
    width = torch.tensor([96, 70])
    buffer = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the newer exporter needs seconds more and onnxscript
        torch.onnx.export(
            model,
            (image, width),
            buffer,
            dynamo=False,
            input_names=["image", "width"],
            output_names=["logits"],
            dynamic_axes={
                "image": {0: "lines", 3: "pixels"},
                "width": {0: "lines"},
                "logits": {0: "lines", 1: "frames"},
            },
            opset_version=17,
        )
    content = describe(buffer.getvalue(), data.charset, data.height)
    image = torch.randint(0, 256, (3, 1, data.height, 320), dtype=torch.uint8)
    width = torch.tensor([320, 200, 16])
    with torch.inference_mode():
        compare(content, {"image": image.numpy(), "width": width.numpy()}, model(image, width).numpy())
    return content


def load(checkpoint: Path):
    """The checkpoint's network, averaged weights where it has them, and its data object."""
    from shared.checkpoints.config import configure
    from shared.errors import UserError
    from shared.fit.build import build
    from shared.lightning.scoring import load as load_checkpoint

    content = load_checkpoint(checkpoint.expanduser())
    cfg = configure(PROJECT, ROOT / "conf", content, [])
    data = build(cfg.data, "data")
    model = build(cfg.model, "model")(**data.model_arguments())
    state = {name.removeprefix("model."): tensor for name, tensor in content["state_dict"].items()}
    try:
        model.load_state_dict(state | content.get("ema", {}))
    except RuntimeError as error:
        what = str(error).splitlines()[-1].strip()
        raise UserError(what, "checkpoint", "give a checkpoint of this project") from error
    return model.eval(), data


def validation_lines(checkpoint: Path, count: int):
    """Images and texts of the checkpoint's validation set, and their language."""
    from shared.ocr.lines.labelled import first_lines

    _, data = load(checkpoint)
    data.prepare()
    lines = first_lines(data.val, count)
    return [line["image"] for line in lines], [line["text"] for line in lines], data.charset.language


if __name__ == "__main__":
    command(__file__, main, {"checkpoint": None, "out": None, "precision": "fp32", "lines": "200"})
