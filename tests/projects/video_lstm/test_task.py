"""Loss, metrics, shuffled frames, frozen parts, the classes' table."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from projects.video_lstm.classes import write_report
from projects.video_lstm.model import VideoLSTM
from projects.video_lstm.task import VideoClassification, shuffled, summary
from shared.checkpoints.resume import Start
from shared.errors import UserError
from shared.nets.resnet import MEAN, STD
from shared.policy.batching import Batching


class Data:
    class_names = ("a", "b", "c")


@pytest.fixture
def make():
    def build(**options):
        torch.manual_seed(0)
        model = VideoLSTM(3, width=4, spatial=8, temporal=6, attention=4)
        return VideoClassification(model, Data(), **options)

    return build


@pytest.fixture
def batch():
    clip = torch.randint(
        0, 256, (4, 6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return {"clip": clip, "label": torch.tensor([0, 1, 2, 0]), "index": torch.arange(4)}


def test_the_loss_is_the_mean_of_the_heads_on_normalised_clips(make, batch):
    task = make(label_smoothing=0.2).eval()
    clip = (batch["clip"] / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    target = 0.8 * torch.eye(3)[batch["label"]] + 0.2 / 3
    losses = [-(target * logits.log_softmax(1)).sum(1).mean() for logits in task.model(clip)]
    loss, means = task.loss(batch)
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    right = task(batch["clip"]).combined.argmax(1) == batch["label"]
    assert means["top1"] == right.float().mean()


def test_macro_f1_is_scikit_learns():
    draw = np.random.default_rng(0)
    label, answer = draw.integers(0, 7, 60), draw.integers(0, 6, 60)
    matrix = torch.zeros(9, 9, dtype=torch.long)
    for pair in zip(label, answer, strict=True):
        matrix[pair] += 1
    found = summary(matrix)  # classes 7 and 8 are nobody's
    assert found["macro_f1"].item() == pytest.approx(f1_score(label, answer, average="macro"))
    assert found["top1"].item() == pytest.approx((label == answer).mean())


def test_shuffling_mixes_each_clips_own_frames_and_repeats_itself(batch):
    clip = batch["clip"]
    mixed = shuffled(clip, batch["index"])
    assert torch.equal(mixed, shuffled(clip, batch["index"]))
    for before, after in zip(clip, mixed, strict=True):
        order = [next(i for i in range(6) if torch.equal(frame, before[i])) for frame in after]
        assert sorted(order) == list(range(6)) and order != list(range(6))
    assert torch.equal(shuffled(clip[2:3], batch["index"][2:3])[0], mixed[2])


def test_frozen_parts_stay_as_they_are_for_their_epochs(make, batch, monkeypatch):
    task = make(freeze={"conv1": 2, "bn1": 2, "layer1": 1}).train()
    backbone = task.model.backbone
    for epoch, frozen in ((0, "conv1 bn1 layer1"), (1, "conv1 bn1"), (2, "")):
        monkeypatch.setattr(VideoClassification, "current_epoch", epoch)
        task.train()
        task.hold_still()
        task.zero_grad()
        before = {name: tensor.clone() for name, tensor in backbone.named_buffers()}
        task.loss(batch)[0].backward()
        moved = {
            name.split(".")[0]
            for name, tensor in backbone.named_buffers()
            if not torch.equal(before[name], tensor)
        }
        learning = {name.split(".")[0] for name, p in backbone.named_parameters() if p.grad is not None}
        assert not (moved | learning) & set(frozen.split())
        assert learning >= {"conv1", "bn1", "layer1", "layer2"} - set(frozen.split())
        assert moved >= {"layer2", "layer4"}


def test_one_nan_makes_the_validation_loss_nan(make, batch, monkeypatch):
    task = make().eval()
    forward = VideoClassification.forward

    def spoil(self, clip):
        logits = forward(self, clip)
        logits.spatial[1] = torch.nan
        return logits

    monkeypatch.setattr(VideoClassification, "forward", spoil)
    with torch.no_grad():
        task.validation_step(batch, 0)
    assert task.val["loss"].compute().isnan() and task.val["top5"].compute().isfinite()


def test_a_part_that_is_not_there_is_refused(make):
    with pytest.raises(UserError, match="layer9"):
        make(freeze={"layer9": 2})


def test_a_resumed_run_keeps_the_report_of_a_better_epoch(make, tmp_path):
    before, after, unaware = make(), make(), make()
    folder = SimpleNamespace(path=tmp_path)
    for task in (before, after, unaware):
        task.rails = SimpleNamespace(folder=folder, batching=Batching(4), start=Start())
    before.write_report(4 * torch.eye(3), 1.0)
    best, checkpoint = (tmp_path / "classes.tsv").read_text(), {}
    before.on_save_checkpoint(checkpoint)
    after.on_load_checkpoint(checkpoint)
    after.write_report(torch.ones(3, 3), 0.3)
    assert (tmp_path / "classes.tsv").read_text() == best
    unaware.on_load_checkpoint({"micro_batch_size": 4})  # of an older run
    unaware.write_report(torch.ones(3, 3), 0.3)
    assert (tmp_path / "classes.tsv").read_text() != best


def test_a_report_that_cannot_be_written_costs_no_run_but_an_evaluation(make, tmp_path, caplog):
    (tmp_path / "classes.tsv").mkdir()
    training, evaluating = make(), make(report=str(tmp_path))
    training.rails = SimpleNamespace(folder=SimpleNamespace(path=tmp_path))
    training.write_report(torch.eye(3), 1.0)
    assert "classes.tsv, confusion.png: not written this time" in caplog.text
    with pytest.raises(OSError):
        evaluating.write_report(torch.eye(3), 1.0)


def test_the_classes_table_and_picture(tmp_path):
    matrix = np.array([[4, 0, 0], [3, 1, 0], [0, 0, 0]])
    write_report(tmp_path / "new", matrix, ["good", "bad", "nobody's"])
    with (tmp_path / "new" / "classes.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["class"] for row in rows] == ["nobody's", "bad", "good"]
    bad = rows[1]
    assert (bad["clips"], bad["precision"], bad["recall"], bad["f1"]) == ("4", "1.0000", "0.2500", "0.4000")
    assert (bad["most_often_taken_for"], bad["times"]) == ("good", "3")
    assert (tmp_path / "new" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["classes.tsv", "confusion.png"]
