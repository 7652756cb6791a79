"""Loss, mixing and normalisation of image classification."""

import pytest
import torch
from torch import nn

from projects.imagenet_resnet.task import Classification, paste
from shared.nets.resnet import MEAN, STD
from shared.runs.reading.readers import read_run
from tests.conftest import rows


class Data:
    num_classes = 3


@pytest.fixture
def make():
    def build(**options):
        return Classification(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), Data(), **options)

    return build


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=draw)
    return {"image": image, "label": torch.tensor([0, 1, 2, 0, 1, 2])}


def test_normalisation_is_the_official_one(make, batch):
    expected = (batch["image"] / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(make().normalise(batch["image"]), expected)
    assert make(channels_last=True).normalise(batch["image"]).is_contiguous(memory_format=torch.channels_last)


def test_label_smoothing_is_that_of_the_formula(make, batch):
    task = make(label_smoothing=0.3)
    logits = task(batch["image"]).log_softmax(1)
    target = 0.7 * nn.functional.one_hot(batch["label"], 3) + 0.1
    torch.testing.assert_close(task.loss(batch)[0], -(target * logits).sum(1).mean())


def test_mixup_mixes_images_and_targets_alike(make, batch):
    task = make(mixup=1.0)
    image, target = task.mix(batch["image"].float(), batch["label"])
    share = target[0, 0].item()
    assert 0 < share < 1
    torch.testing.assert_close(image, batch["image"] * share + batch["image"].roll(1, 0) * (1 - share))
    torch.testing.assert_close(target.sum(1), torch.ones(6))


def test_cutmix_keeps_the_share_it_says(make, batch):
    task = make(cutmix=1.0)
    ones, marked = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    image, share = paste(ones, marked, 0.6)
    assert image.mean().item() == pytest.approx(1 - share)
    _, target = task.mix(batch["image"].float(), batch["label"])
    torch.testing.assert_close(target.sum(1), torch.ones(6))


def test_mixing_is_drawn_from_the_generator_that_checkpoints_hold(make, batch):
    task, before = make(mixup=0.2, cutmix=1.0), torch.get_rng_state()
    first, other = (task.mix(batch["image"].float(), batch["label"]) for _ in range(2))
    torch.set_rng_state(before)
    again = task.mix(batch["image"].float(), batch["label"])
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_the_target_is_mixed_as_the_image_is(options):
    """Image i is all i: what is left of it in the mixture is its share of the target."""
    task = Classification(nn.Identity(), Data(), **options)
    label = torch.arange(3)
    image = label.float().view(3, 1, 1, 1).expand(3, 3, 16, 16)
    for _ in range(20):
        mixed, target = task.mix(image, label)
        torch.testing.assert_close(mixed.mean((1, 2, 3)), target @ torch.arange(3.0), atol=1e-5, rtol=0)


def test_one_nan_makes_the_validation_loss_nan(make, batch):
    task = make()
    task.register_buffer("mean", torch.tensor([0.0, 0, 0, torch.nan, 0, 0]).view(-1, 1, 1, 1))
    task.validation_step(batch, 0)
    assert task.val["loss"].compute().isnan() and task.val["top1"].compute().isfinite()


def test_a_validation_that_was_nan_is_seen_and_is_never_the_best(tiny, monkeypatch):
    normalise = Classification.normalise

    def spoil(self, image):
        out = normalise(self, image)
        if not self.training and self.current_epoch >= 1:
            out[0, 0, 0, 0] = torch.nan
        return out

    monkeypatch.setattr(Classification, "normalise", spoil)
    settings = ("monitor.name=val/loss", "monitor.mode=min", "callbacks.early_stopping.patience=2")
    outcome = tiny(*settings, "trainer.max_epochs=9")
    assert outcome.code == 0, outcome.err
    assert [row["val/loss"] == "nan" for row in rows(outcome.run_dir)] == [False, True, True]
    monitor = outcome.summary["monitor"]
    assert outcome.summary["status"] == "early_stopped"
    assert monitor["best_epoch"] == 1 and monitor["best"] > 0 and monitor["last"] is None
    assert read_run(outcome.run_dir).first_bad == {"val/loss": 2}
