import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.ocr.lines import audit
from shared.ocr.lines.tables import read_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path):
    """20 good lines, and one of each problem."""
    rows = []
    for index in range(20):
        pixels = np.random.default_rng(index).integers(0, 255, (32, 200), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        rows.append((f"{index}.png", f"កខ {index}"))
    rows += [("0.png", "other"), ("gone.png", "ក"), ("1.png", ""), ("2.png", "漢"), ("3.png", "ក" * 80)]
    (tmp_path / "labels.tsv").write_text("".join(f"{name}\t{text}\n" for name, text in rows))
    return tmp_path


def facts(folder, khmer):
    return [audit.inspect_line(line, khmer, 32) for line in read_table(folder / "labels.tsv")]


def test_every_problem_is_found(folder, khmer):
    found = audit.report({"all": facts(folder, khmer)}, khmer)
    problems = found["problems"]
    assert problems["unreadable"] == problems["empty_label"] == problems["outside_charset"] == 1
    assert problems["too_long_for_width"] == 1
    assert problems["duplicate_image"] == 8 and problems["same_image_other_label"] == 8
    assert found["outside_charset_characters"] == {"漢 U+6F22": 1}
    assert "gone.png" in found["examples"]["unreadable"][0]


def test_leaks_between_splits(folder, khmer):
    every = facts(folder, khmer)
    found = audit.report({"train": every[:10], "val": [every[3], every[20], every[15]]}, khmer)
    assert found["problems"]["leaked_image"] == 2
    assert found["problems"]["leaked_text"] == 1


def test_the_split_keeps_what_is_alike_together(folder, khmer):
    train, val = audit.split(facts(folder, khmer), khmer, seed=0)
    assert len(train) + len(val) == 21
    assert 3 <= len(val) <= 5
    for name in ("digest", "text"):
        assert not {getattr(f, name) for f in train} & {getattr(f, name) for f in val}


def test_the_script_writes_what_training_reads(folder, tmp_path, khmer):
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "scripts/audit_ocr.py"), str(folder), "--out", str(out), "--split"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads((out / "audit.json").read_text())["problems"]["empty_label"] == 1
    assert (out / "audit.png").stat().st_size > 1000
    assert all(Path(line.image).exists() for line in read_table(out / "train.tsv"))


def test_a_folder_without_labels_is_a_users_error(tmp_path):
    command = [sys.executable, str(ROOT / "scripts/audit_ocr.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "labels.tsv" in done.stderr
