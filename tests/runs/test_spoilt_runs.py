"""Runs of imagenet_resnet on digits that were spoilt on purpose are told apart; sound ones raise no alarm."""

from pathlib import Path

import numpy as np
import pytest

from shared.runs.diagnosis.diagnose import diagnose
from shared.runs.diagnosis.finding import exit_code
from shared.runs.reading import names

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
