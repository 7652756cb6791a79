"""Our recogniser beside Tesseract 5 on the same validation images: error rates, line accuracy, milliseconds a line.

    apt-get install tesseract-ocr tesseract-ocr-khm tesseract-ocr-tha
    python scripts/bench/ocr_peer.py khmer_ocr projects/khmer_ocr/starter/khmer_ocr_tiny.onnx --lines 100

Both use one thread and read one image at a time, Tesseract as a single line (--psm 7), its start included and
measured apart on an empty image. `data.*` overrides follow: data.extra_fonts=/usr/share/fonts.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

import hydra
import numpy as np
from PIL import Image

from shared.config.root import ROOT
from shared.fit.build import build
from shared.ocr.lines.labelled import first_lines
from shared.ocr.reading.reader import Reader
from shared.ocr.script.language import find_language
from shared.ocr.script.metrics import error_rates

COLUMNS = {"cer": 7, "cer_raw": 7, "wer": 7, "line_accuracy": 12}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", help="khmer_ocr or thai_ocr")
    parser.add_argument("model", help="an exported .onnx")
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--beam", type=int, default=8, help="hypotheses of the search; 1: best path")
    given, overrides = parser.parse_known_args()
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose(given.project, overrides=["run_dir=unused", *overrides])
    data = build(cfg.data, "data")
    lines = first_lines(data.val, given.lines)
    reader = Reader(given.model, beam=given.beam)
    language = find_language(data.charset.language)
    engines: dict[str, Callable[[np.ndarray], str]] = {"ours": lambda image: reader.read([image])[0].text}
    if shutil.which("tesseract") and language.tesseract:
        engines["tesseract"] = lambda image: tesseract(image, language.tesseract)
        white = np.full((data.height, 64), 255, np.uint8)
        print(
            f"tesseract's start: {timed(engines['tesseract'], [white] * 5)[1]:.0f} ms, within its time below"
        )
    print(f"{'engine':<10} {'lines':<9} {'CER':>7} {'raw':>7} {'WER':>7} {'lines right':>12} {'ms/line':>8}")
    for name, read in engines.items():
        texts, milliseconds = timed(read, [line["image"] for line in lines])
        for group, kept in (("all", (0, 1)), ("clear", (0,)), ("degraded", (1,))):
            chosen = [i for i, line in enumerate(lines) if line["group"] in kept]
            rates = error_rates([lines[i]["text"] for i in chosen], [texts[i] for i in chosen], language.key)
            shown = " ".join(f"{rates[key]:>{width}.4f}" for key, width in COLUMNS.items())
            print(f"{name:<10} {group:<9} {shown} {milliseconds:>8.1f}")


def timed(read: Callable[[np.ndarray], str], images: list[np.ndarray]) -> tuple[list[str], float]:
    """What was read, and the mean milliseconds it took."""
    read(images[0])
    began = time.perf_counter()
    texts = [read(image) for image in images]
    return texts, 1000 * (time.perf_counter() - began) / len(images)


def tesseract(image: np.ndarray, language: str) -> str:
    """Tesseract's reading of one line; it wants margins and is best at letters some 30 pixels high."""
    large = Image.fromarray(np.pad(image, 10, constant_values=255)).resize(
        ((image.shape[1] + 20) * 2, (image.shape[0] + 20) * 2), Image.Resampling.BICUBIC
    )
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        large.save(file.name)
        command = ["tesseract", file.name, "-", "-l", language, "--psm", "7"]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return " ".join(done.stdout.split())


if __name__ == "__main__":
    main()
