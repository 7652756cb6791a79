"""Runs of imagenet_resnet on digits that were spoilt on purpose are told apart; sound ones raise no alarm."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.errors import UserError
from shared.runs.checkpoints.table import checkpoint_table
from shared.runs.diagnosis.diagnose import diagnose
from shared.runs.diagnosis.finding import exit_code
from shared.runs.reading import names
from shared.runs.reading.readers import read_run

SPOILT = Path(__file__).parent / "spoilt"
FOUND = {
    "dead": "not_learning",
    "label_noise": "label_noise",
    "lr_high": "loss_exploded",
    "overfit": "overfitting",
    "shuffled": "not_learning",
    "val_permuted": "labels_permuted",
    "wrong_norm": "input_differs",
}


@pytest.mark.parametrize("kind", FOUND)
def test_what_was_spoilt_is_found(kind):
    findings = diagnose(SPOILT / kind)
    found = next(each for each in findings if each.code == FOUND[kind])
    assert exit_code(findings) == 1
    assert found.severity == "warning" and found.evidence and found.command


@pytest.mark.parametrize("kind", ["healthy", "restart"])
def test_sound_runs_raise_no_alarm(kind):
    assert exit_code(diagnose(SPOILT / kind)) == 0


LOWER = "min_dcf val/min_dcf_p05 rmse val_mae fid val/lpips EER test_wer perplexity bits_per_byte val/ece abs_rel kl"
HIGHER = "val/top1 acc@1 mAP50 val_miou dice bleu rouge_l psnr ssim r2 pesq f1 auc kappa mcc ndcg reward"


@pytest.mark.parametrize("name", LOWER.split())
def test_lower_is_better(name):
    assert names.mode(name) == "min"


@pytest.mark.parametrize("name", HIGHER.split())
def test_higher_is_better(name):
    assert names.mode(name) == "max"


def test_a_rate_above_one_is_in_percent_but_for_transcripts():
    assert names.in_percent("val/eer", np.array([2.9, 2.26]))
    assert not names.in_percent("val/cer", np.array([1.1, 0.4]))
    assert names.in_percent("val/cer", np.array([60.0, 4.0]))
    assert not names.in_percent("val/min_dcf", np.array([1.2]))


def test_a_run_is_first_what_it_says_of_itself(tmp_path):
    (tmp_path / "summary.json").write_text(
        '{"project": "x", "status": "failed", "error": "no train/ folder"}'
    )
    (tmp_path / "train.log").write_text("limit_val_batches=1 epoch 1 loss 0.5\n" * 3)
    findings = diagnose(tmp_path)
    assert findings[0].code == "run_failed" and "no train/ folder" in findings[0].message
    assert exit_code(findings) == 1
    with pytest.raises(UserError, match="failed before its first metrics"):
        read_run(tmp_path)

    (tmp_path / "summary.json").unlink()
    (tmp_path / "run_id").write_text("abc")
    assert [each.code for each in diagnose(tmp_path)] == ["run_without_rows"]


def test_skipped_steps_are_told_and_kept_batches_are_no_checkpoints(tmp_path):
    for name in ("metrics.csv", "config.yaml", "summary.json"):
        (tmp_path / name).write_bytes((SPOILT / "healthy" / name).read_bytes())
    event = {"kind": "non_finite_skip", "epoch": 2, "step": 8, "message": "step 8: non-finite image"}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    for place in ("nonfinite/step_8.pt", "checkpoints/last.ckpt"):
        (tmp_path / place).parent.mkdir()
        torch.save({"epoch": 1, "state_dict": {"w": torch.ones(3)}}, tmp_path / place)
    findings = diagnose(tmp_path)
    assert exit_code(findings) == 0
    skipped = next(each for each in findings if each.code == "steps_skipped")
    assert skipped.evidence == ["step 8: non-finite image"] and "replay" in skipped.command
    assert [row.file for row in checkpoint_table(tmp_path).rows] == ["checkpoints/last.ckpt"]


def test_what_cannot_be_read_is_not_healthy(tmp_path):
    (tmp_path / "notes.txt").write_text("hello world\n")
    with pytest.raises(UserError, match="no named numbers"):
        diagnose(tmp_path / "notes.txt")
