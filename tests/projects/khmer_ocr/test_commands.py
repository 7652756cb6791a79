"""predict.py and export.py as commands, with the shipped starter and with weights of a moment ago."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shared.ocr.reading.reader import Reader
from shared.ocr.script.metrics import error_rates

ROOT = Path(__file__).resolve().parents[3]
SAMPLES, STARTER = ROOT / "docs/samples/khmer", ROOT / "projects/khmer_ocr/starter"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "projects/khmer_ocr" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def table(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_starter_reads_the_samples(tmp_path):
    done = run("predict.py", f"images={SAMPLES}", f"out={tmp_path / 'preds.tsv'}")
    assert done.returncode == 0, done.stderr
    rows = table((tmp_path / "preds.tsv").read_text())
    truth = dict(table((SAMPLES / "labels.tsv").read_text())[1:])
    assert rows[0] == ["file", "text", "score"] and len(rows) == len(truth) + 1
    expected = [truth[Path(row[0]).name] for row in rows[1:]]
    assert error_rates(expected, [row[1] for row in rows[1:]], "khmer")["cer"] < 0.35


def test_reading_needs_no_torch():
    code = "import sys, shared.ocr.pages.predict, shared.ocr.reading.reader; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images=none/*.png"], "images"),
        ([f"images={SAMPLES}", "checkpoint=none.onnx"], "none.onnx"),
        ([f"images={SAMPLES}", "speed=9"], "speed"),
        (["out=x.tsv"], "give images="),
    ],
)
def test_what_a_user_did_wrong_is_one_line(arguments, said):
    done = run("predict.py", *arguments)
    assert done.returncode == 2 and done.stderr.startswith("error:") and said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_weights_and_the_exported_starter_read_alike(tmp_path):
    done = run(
        "export.py", f"checkpoint={STARTER / 'khmer_ocr_tiny.pth'}", f"out={tmp_path / 'x.onnx'}", "lines=8"
    )
    assert done.returncode == 0, done.stderr
    from shared.ocr.lines.image import read_line

    lines = [read_line(path, 40) for path in sorted(SAMPLES.glob("*.png"))]
    one, other = (Reader(path).read(lines) for path in (tmp_path / "x.onnx", STARTER / "khmer_ocr_tiny.onnx"))
    assert sum(a.text == b.text for a, b in zip(one, other, strict=True)) >= len(lines) - 1


def test_a_starter_is_small_and_safe_to_load():
    assert sum(path.stat().st_size for path in STARTER.iterdir()) < 12e6
    state = torch.load(STARTER / "khmer_ocr_tiny.pth", weights_only=True)
    assert all(torch.isfinite(t).all() for t in state.values() if t.is_floating_point())
