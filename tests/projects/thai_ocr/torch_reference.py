"""Writes weights and outputs of khmer_ocr's network in torch: python torch_reference.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from projects.khmer_ocr.model import LineRecogniser


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
    save_file(net.state_dict(), folder / "net.safetensors")
    np.savez(folder / "outputs.npz", image=image.numpy(), width=width.numpy(), logits=logits.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
