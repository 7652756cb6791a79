"""The whole project on a few seconds of speech: training, its log, evaluation, prediction, resuming, refusals."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch

from projects.voxceleb.losses import AAMSoftmax
from projects.voxceleb.model import ResNetSE34V2
from projects.voxceleb.predict import main as predict
from projects.voxceleb.task import SpeakerVerification
from projects.voxceleb.utterances import SpeakerTuples
from shared.checkpoints.file import KEY
from shared.command.cli import evaluate, train, words
from tests.conftest import rows

SMALL = [
    "model.n_mels=40",
    "model.embedding=16",
    "model.widths=[8,8,16,16]",
    "model.blocks=[1,1,1,1]",
    "logger=csv",
]
SMALL += [
    "data.generate=null",
    "data.max_frames=40",
    "effective_batch_size=3",
    "trainer.max_epochs=2",
    "hardware=cpu",
]


@pytest.fixture
def run(command, speech, tmp_path):
    def train_small(*overrides):
        root = f"data.root={speech}"
        return command(train, "voxceleb", *SMALL, root, f"run_dir={tmp_path / 'run'}", *overrides)

    return train_small


def say(command, *arguments):
    """The JSON object that predict.py prints."""

    def entry(script):
        words(script, predict)

    entry.__name__ = "predict"
    outcome = command(entry, "voxceleb", *arguments)
    return json.loads(outcome.out) if outcome.code == 0 else outcome


def test_a_run_logs_what_matters_and_its_checkpoint_evaluates_and_predicts(run, command, speech, tmp_path):
    outcome = run("trainer.log_every_n_steps=2")
    assert outcome.code == 0 and outcome.summary["status"] == "completed"
    assert outcome.summary["monitor"]["name"] == "val/eer"
    last = rows(outcome.run_dir)[-1]
    for name in ("train/acc", "train/margin_acc", "train/eer", "val/eer", "val/min_dcf", "val/min_dcf_p05"):
        assert 0 <= float(last[name]) <= 1, name
    assert (float(last["val/trials"]), float(last["val/targets"])) == (40, 20)
    assert float(last["data/utilisation"]) == 1
    assert "use 100.0 % of the utterances" in outcome.out
    scores = [line.split() for line in (outcome.run_dir / "scores.txt").read_text().splitlines()]
    assert len(scores) == 40 and sum(target == "1" for _, target, _, _ in scores) == 20

    checkpoint = f"checkpoint={outcome.run_dir / 'checkpoints' / 'last.ckpt'}"
    found = {}
    for mode in ("whole", "crops10"):
        scored = command(evaluate, "voxceleb", checkpoint, f"eval.mode={mode}", "eval.frames=40")
        found[mode] = json.loads(scored.out.splitlines()[-1])
    assert found["whole"]["val/eer"] == pytest.approx(float(last["val/eer"]))
    assert found["crops10"]["val/trials"] == 40 and 0 <= found["crops10"]["val/eer"] <= 1
    normed = command(evaluate, "voxceleb", checkpoint, "eval.as_norm=5", f"eval.scores={tmp_path / 's.txt'}")
    assert 0 <= json.loads(normed.out.splitlines()[-1])["val/eer"] <= 1 and (tmp_path / "s.txt").exists()
    own = json.loads(command(evaluate, "voxceleb", checkpoint, "split=train").out.splitlines()[-1])
    assert own["samples"] == 24 and own["train/trials"] > 20

    score, _, *names = scores[0]
    files = [str(speech / "val" / name) for name in names]
    answer = say(command, "verify", *files, checkpoint)
    assert answer["score"] == pytest.approx(float(score), abs=1e-4)
    assert answer["same_speaker"] == (answer["score"] >= answer["threshold"])
    threshold = torch.load(outcome.run_dir / "checkpoints/last.ckpt", weights_only=True)["state_dict"][
        "threshold"
    ]
    assert answer["threshold"] == pytest.approx(threshold.item()) and threshold != 0
    voices = f"speakers={tmp_path / 'voices'}"
    assert say(command, "enroll", "anna", *files, checkpoint, voices)["recordings"] == 2
    assert say(command, "verify", "anna", files[0], checkpoint, voices)["score"] > answer["score"] - 1e-4
    assert len(say(command, "embed", files[0], checkpoint)["embeddings"][files[0]]) == 16
    say(command, "embed", *files, checkpoint, f"out={tmp_path / 'e.npz'}")
    assert np.load(tmp_path / "e.npz", allow_pickle=False)["embeddings"].shape == (2, 16)
    for wrong in (["verify", "gone.wav", files[0]], ["enroll", "a/b", files[0]], ["verify", files[0]]):
        outcome = say(command, *wrong, checkpoint, voices)
        assert outcome.code == 2 and outcome.err.startswith("error: ")


@pytest.mark.parametrize(
    ("loss", "micro", "plan", "warned"),
    [
        ("softmax_prototypical", "1", "3 = 1 x 3 accumulation x 1 device", True),
        ("softmax_prototypical", "auto", "3 = 3 x 1 accumulation x 1 device", False),
        ("aam", "1", "3 = 1 x 3 accumulation x 1 device", False),
    ],
)
def test_cutting_a_batch_whose_speakers_are_compared_brings_a_warning(run, loss, micro, plan, warned):
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "data.n_per_speaker=2")
    summary = run(*short, f"loss={loss}", f"micro_batch_size={micro}").summary
    said = "the loss compares samples only within micro batches of 1, not all 3"
    assert any(said in warning for warning in summary["plan"]["warnings"]) is warned
    assert summary["plan"]["effective_batch"] == plan and not summary["events"]


def test_a_checkpoint_evaluates_on_data_with_other_training_speakers_or_none(run, command, speech, tmp_path):
    outcome = run("+data.speakers=4", "trainer.max_epochs=1")
    checkpoint = outcome.run_dir / "checkpoints" / "last.ckpt"
    expected = float(rows(outcome.run_dir)[-1]["val/eer"])
    trials = tmp_path / "trials"
    shutil.copytree(speech / "val", trials / "val")
    shutil.copy(speech / "trials.txt", trials)
    for other in (
        ["++data.speakers=null"],
        [f"data.root={trials}", "data.train=val"],
        [f"data.root={trials}"],
    ):
        scored = command(evaluate, "voxceleb", f"checkpoint={checkpoint}", *other)
        assert scored.code == 0, scored.err
        assert json.loads(scored.out.splitlines()[-1])["val/eer"] == pytest.approx(expected)
    for needy in ("eval.as_norm=2", "split=train"):
        scored = command(evaluate, "voxceleb", f"checkpoint={checkpoint}", f"data.root={trials}", needy)
        assert scored.code == 2 and "data.train" in scored.err
    more = ("+data.speakers=5", f"resume={checkpoint}", "resume_mode=weights")
    refused = run(*more, f"run_dir={tmp_path / 'more'}")
    assert refused.code == 2 and "1 tensors differ, such as model.head.weight" in refused.err


def test_verify_asks_for_a_threshold_where_none_on_the_cosine_is_stored(run, command, speech, tmp_path):
    last = run("trainer.max_epochs=1").run_dir / "checkpoints" / "last.ckpt"
    files = [str(path) for path in sorted((speech / "val").rglob("*.wav"))[:2]]
    content, path = torch.load(last, weights_only=True), tmp_path / "other.ckpt"
    state, own = content["state_dict"], content[KEY]

    def scored_by(**settings):
        config = own["config"] | {"eval": own["config"]["eval"] | settings}
        return content | {KEY: own | {"config": config}}

    prefix = "model.embedder."
    others = {
        "before the first validation": content | {"state_dict": state | {"threshold": torch.zeros(())}},
        "crops10": scored_by(mode="crops10"),
        "as_norm": scored_by(as_norm=5),
        "published": {
            name.replace(prefix, "__S__."): each for name, each in state.items() if name.startswith(prefix)
        },
    }
    for name, other in others.items():
        torch.save(other, path)
        settings = [f"checkpoint={path}", *(SMALL[:4] if name == "published" else [])]
        refused = say(command, "verify", *files, *settings)
        assert refused.code == 2 and "(threshold): give threshold=NUMBER" in refused.err, name
        assert say(command, "verify", *files, *settings, "threshold=0.5")["threshold"] == 0.5, name
        assert "embeddings" in say(command, "embed", files[0], *settings), name


def test_a_batch_beyond_the_speakers_is_capped_and_said(run):
    outcome = run("effective_batch_size=200", "trainer.max_epochs=1")
    assert outcome.code == 0
    assert "200 is more than the data allow in a batch, 6; trains with 6" in outcome.out
    assert "2 batches of 6 speakers x 2 utterances" in outcome.out
    assert outcome.summary["steps"] == 2


def test_cached_mels_train(run, tmp_path):
    cache = f"{{_target_: projects.voxceleb.audio.mels.MelCache, folder: {tmp_path / 'mels'}, n_mels: 40}}"
    assert run(f"data.mel_cache={cache}", "trainer.max_epochs=1").code == 0
    assert len(list((tmp_path / "mels").rglob("*.npy"))) == 24


@pytest.mark.parametrize("loss", ["softmax", "prototypical", "softmax_prototypical"])
def test_every_loss_trains(run, loss):
    outcome = run(
        f"loss={loss}",
        "trainer.max_epochs=1",
        "micro_batch_size=2",
        "data.augment={_target_: projects.voxceleb.audio.augment.Augment}",
    )
    assert outcome.code == 0 and 0 <= float(rows(outcome.run_dir)[-1]["train/acc"]) <= 1


def test_one_utterance_of_a_speaker_does_for_aam_and_not_for_prototypes(run):
    outcome = run("loss=prototypical", "data.n_per_speaker=1")
    assert outcome.code == 2 and "data.n_per_speaker" in outcome.err
    outcome = run("data.n_per_speaker=1", "trainer.max_epochs=1")
    assert outcome.code == 0 and "train/eer" not in rows(outcome.run_dir)[-1]


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(run, tmp_path, monkeypatch):
    overrides = ("task.margin_warmup_epochs=2", "trainer.log_every_n_steps=1")
    whole = run(*overrides, f"run_dir={tmp_path / 'whole'}")
    original, steps = SpeakerVerification.loss, iter(range(1, 100))

    def interrupted(self, batch):
        if next(steps) == 6:  # in the second epoch of four batches
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SpeakerVerification, "loss", interrupted)
        assert run(*overrides).code == 143
    resumed = run(*overrides)
    assert resumed.code == 0 and resumed.summary["resumed_from"]
    assert rows(resumed.run_dir) == rows(whole.run_dir)


@pytest.mark.parametrize("poison", [np.nan, 1e20])
def test_a_poisoned_sample_leaves_weights_and_buffers_finite_and_is_named(run, monkeypatch, poison):
    original = SpeakerTuples.load

    def load(self, epoch, index):
        wave = original(self, epoch, index)
        return wave * poison if index == 5 and epoch == 0 else wave

    monkeypatch.setattr(SpeakerTuples, "load", load)
    outcome = run()
    assert outcome.code == 0
    skipped = [event["message"] for event in outcome.summary["events"] if event["kind"] == "non_finite_skip"]
    assert len(skipped) == 1 and "00001.wav" in skipped[0]
    state = torch.load(outcome.run_dir / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_poisoned_embeddings_are_named_and_not_scored(run, monkeypatch):
    monkeypatch.setattr(
        ResNetSE34V2, "pool", lambda self, x: x.mean(2).repeat(1, 2) * (1 if self.training else np.nan)
    )
    outcome = run("trainer.max_epochs=1")
    assert outcome.code == 2 and "16 of 16 embeddings are not finite" in outcome.err and ".wav" in outcome.err


def test_the_margin_grows_with_the_steps(run, monkeypatch):
    seen, original = [], AAMSoftmax.penalise
    monkeypatch.setattr(
        AAMSoftmax, "penalise", lambda self, cos: (seen.append(self.warmup), original(self, cos))[1]
    )
    run("task.margin_warmup_epochs=1")
    assert seen == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]


def test_scores_that_cannot_be_written_do_not_end_the_run(run, tmp_path):
    (tmp_path / "run" / "scores.txt").mkdir(parents=True)
    outcome = run(f"run_dir={tmp_path / 'run'}")
    assert outcome.code == 0 and "scores.txt: not written this time" in outcome.out


def test_a_published_network_evaluates_without_its_loss(command, speech, tmp_path):
    settings = {"n_mels": 40, "embedding": 16, "widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)}
    state = {f"__S__.{name}": tensor for name, tensor in ResNetSE34V2(**settings).state_dict().items()}
    torch.save({**state, "__L__.weight": torch.ones(5, 16)}, tmp_path / "baseline.model")
    outcome = command(
        evaluate,
        "voxceleb",
        *SMALL[:4],
        "data.generate=null",
        f"data.root={speech}",
        f"checkpoint={tmp_path / 'baseline.model'}",
    )
    assert outcome.code == 0, outcome.err
    assert 0 <= json.loads(outcome.out.splitlines()[-1])["val/eer"] <= 1
