import csv
import json
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from projects.khmer_ocr.task import Recognition
from shared.command.cli import evaluate, train
from shared.config.root import ROOT
from shared.nets.line_recogniser import LineRecogniser
from shared.ocr.reading import scores
from shared.ocr.script import ctc
from shared.ocr.script.charset import Charset

STARTER = ROOT / "projects/khmer_ocr/starter/khmer_ocr_tiny.pth"

SMALL = ["model.channels=[8,16,32]", "model.blocks=[0,1,1]", "model.layers=1", "model.heads=2"]
RUN = ["data.count=32", "data.val_count=16", "effective_batch_size=8", "hardware=cpu", "logger=tensorboard"]


def batch() -> dict:
    torch.manual_seed(0)
    return {
        "image": torch.randint(0, 256, (2, 1, 32, 40), dtype=torch.uint8),
        "width": torch.tensor([40, 40]),
        "label": torch.tensor([[1, 2, 0], [3, 3, 3]]),
        "label_length": torch.tensor([2, 3]),
        "frames_needed": torch.tensor([2, 5]),
        "text": ["កខ", "គគគ"],
        "index": torch.tensor([0, 1]),
        "group": torch.tensor([0, 1]),
    }


@pytest.fixture
def task() -> Recognition:
    charset = Charset.load("khmer")
    model = LineRecogniser(len(charset), channels=(8, 16, 32), blocks=(0, 1, 1), layers=1, heads=2)
    return Recognition(model, SimpleNamespace(charset=charset))


def test_the_loss_is_per_character_and_in_single_precision(task):
    lines = batch()
    with torch.autocast("cpu", torch.bfloat16):
        logits = task(lines["image"], lines["width"])
        losses = task.ctc(logits, lines)
    assert logits.dtype == torch.bfloat16 and losses.dtype == torch.float32
    scores = logits.float().log_softmax(2).transpose(0, 1)
    frames = torch.tensor([20, 20])
    expected = F.ctc_loss(scores, lines["label"], frames, lines["label_length"], reduction="none")
    assert torch.allclose(losses, expected / torch.tensor([2, 3]))


def test_the_loss_of_a_batch_is_that_of_its_lines(task):
    """Cut into parts by width, on which it must not depend."""
    task.eval()
    widths = (64, 40, 96, 40, 72, 88) * 3
    lines = {key: torch.cat([value] * 9) for key, value in batch().items() if key != "text"}
    image = torch.full((18, 1, 32, 96), 255, dtype=torch.uint8)
    for row, width in enumerate(widths):
        image[row, :, :, : width - 32] = torch.randint(0, 256, (1, 32, width - 32), dtype=torch.uint8)
    lines |= {"image": image, "width": torch.tensor(widths), "text": ["កខ", "គគគ"] * 9}
    whole = task.ctc(task(lines["image"], lines["width"]), lines).mean()
    assert torch.allclose(task.loss(lines)[0], whole, rtol=1e-4)


def test_a_label_that_does_not_fit_is_an_error_that_names_it(task):
    lines = batch() | {"width": torch.tensor([40, 8])}
    with pytest.raises(ValueError, match="គគគ"):
        task.loss(lines)


def test_one_nan_makes_the_validation_loss_nan(task, monkeypatch):
    ctc = Recognition.ctc

    def spoil(self, logits, lines):
        losses = ctc(self, logits, lines)
        losses[1] = torch.nan
        return losses

    monkeypatch.setattr(Recognition, "ctc", spoil)
    with torch.no_grad():
        task.validation_step(batch(), 0)
    assert task.val_loss.compute().isnan()


@pytest.fixture
def trained(command, tmp_path):
    return command(train, "khmer_ocr", *RUN, *SMALL, "trainer.max_epochs=2", f"run_dir={tmp_path / 'run'}")


def test_a_run_leaves_what_every_run_leaves_and_pictures(trained, command):
    assert trained.code == 0, trained.err
    assert trained.summary["status"] == "completed" and trained.summary["monitor"]["name"] == "val/cer"
    with (trained.run_dir / "metrics.csv").open() as file:
        names = set(csv.DictReader(file).fieldnames)
    assert {
        "val/cer",
        "val/cer_raw",
        "val/cer_clear",
        "val/cer_degraded",
        "val/wer",
        "val/line_accuracy",
    } <= names
    assert (trained.run_dir / "readings.png").stat().st_size > 1000
    assert (trained.run_dir / "confusions.tsv").read_text().startswith("expected\tread\tcount\n")
    checkpoint = trained.summary["checkpoints"]["best"]
    scored = command(evaluate, "khmer_ocr", f"checkpoint={checkpoint}", "data.val_count=16")
    assert '"val/cer":' in scored.out.splitlines()[-1]


@pytest.mark.parametrize(("given", "expected"), [([], 8), (["task.beam=1"], 1)])
def test_evaluation_reads_with_the_language_model_unless_told_otherwise(
    command, monkeypatch, given, expected
):
    used = []
    monkeypatch.setattr(scores, "decoder", lambda charset, beam: used.append(beam) or ctc.greedy)
    done = command(evaluate, "khmer_ocr", f"checkpoint={STARTER}", "data.val_count=2", *given)
    assert done.code == 0 and used == [expected], done.err


def test_the_language_model_lowers_the_starters_error_rate(command):
    """On lines whose words it does not know."""
    found = {}
    for beam in (1, 8):
        done = command(
            evaluate, "khmer_ocr", f"checkpoint={STARTER}", "data.val_count=96", f"task.beam={beam}"
        )
        found[beam] = json.loads(done.out.splitlines()[-1])["val/cer"]
    assert found[8] < 0.95 * found[1]


@pytest.mark.slow
def test_it_learns_short_lines(command, tmp_path):
    """CTC leaves its first plateau, where it reads nothing: the loss falls far below that of blanks alone."""
    overrides = ["data.max_length=8", "data.clear_share=1.0", "optimizer.lr=3e-3", "trainer.max_epochs=6"]
    overrides += ["data.count=160", "data.first_length=null", "schedule.warmup_epochs=0.5"]
    done = command(train, "khmer_ocr", *RUN, *SMALL, *overrides, f"run_dir={tmp_path / 'run'}")
    with (done.run_dir / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert losses[-1] < 0.75 * losses[0]
