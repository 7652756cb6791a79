"""Writes weights, outputs and gradients of the line recogniser in torch: python torch_reference.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from shared.nets.line_recogniser import LineRecogniser


def main(folder: Path) -> None:
    torch.manual_seed(0)
    net = LineRecogniser(40, channels=(8, 16, 32), blocks=(1, 1, 1), layers=2, heads=2)
    image = torch.randint(0, 256, (3, 1, 32, 160), dtype=torch.uint8)
    width = torch.tensor([160, 101, 37])
    for row, columns in enumerate(width):
        image[row, :, :, columns:] = 255
    with torch.no_grad():
        net(image, width)  # running statistics other than 0 and 1
    logits = net.eval()(image, width)
    logits.logsumexp(2).sum().backward()
    save_file(net.state_dict(), folder / "net.safetensors")

    kernel = torch.randn(2, 3, 4, 1)
    stretched = {
        f"kernel_{rows}": F.interpolate(kernel, size=(rows, 1), mode="bilinear").numpy() * (4 / rows)
        for rows in (3, 5, 8)
    }
    outputs = {"image": image, "width": width, "logits": logits.detach(), "kernel": kernel}
    np.savez(folder / "outputs.npz", **{name: t.numpy() for name, t in outputs.items()}, **stretched)
    np.savez(folder / "weights.npz", **{name: t.numpy() for name, t in net.state_dict().items()})
    np.savez(folder / "gradients.npz", **{name: p.grad.numpy() for name, p in net.named_parameters()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
