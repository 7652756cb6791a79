"""The embedded speech, VoxCeleb's layout and trial lists, and what is refused or skipped in them."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.voxceleb.audio.features import front_end, log_mel
from projects.voxceleb.audio.mels import MelCache
from projects.voxceleb.audio.waves import read_wave, write_wave
from projects.voxceleb.data import SpeakerData
from projects.voxceleb.generated.speech import write_speech
from projects.voxceleb.trials.trials import Trials, draw_trials, read_trials, subset, write_trials
from shared.errors import UserError
from shared.lightning.loader import make_loader


def make(folder, **settings):
    return SpeakerData(str(folder), **{"train": "train", "val": "val", "trials": "trials.txt", **settings})


@pytest.fixture
def copied(speech, tmp_path):
    shutil.copytree(speech, tmp_path / "speech")
    return tmp_path / "speech"


def train_loader(data, batch=3, **settings):
    return make_loader(data.train, batch, train=True, seed=0, **settings)


def test_the_embedded_speech_holds_speakers_out(speech, tmp_path):
    data = make(speech)
    data.prepare()
    assert (
        data.num_speakers == 6 and data.largest_batch == 6 and len(data.train) == 24 and len(data.val) == 16
    )
    names = {path.split("/train/")[1].split("/")[0] for path in data.train.paths}
    assert not names & {name.split("/")[0] for name in data.trials.utterances}
    assert data.trials.target.sum() == 20 and len(data.trials.pairs) == 40
    again = tmp_path / "again"
    write_speech(again, speakers=6, val_speakers=4, utterances=4, seconds=0.8, trials=40)
    for path in (again / "val").rglob("*.wav"):
        assert path.read_bytes() == (speech / path.relative_to(again)).read_bytes()
    wave = read_wave(data.train.paths[0])
    assert 0.7 * 16_000 < len(wave) < 1.4 * 16_000 and 0.05 < np.abs(wave).max() < 0.95


def test_batches_hold_tuples_of_crops_whatever_the_workers(speech):
    data = make(speech, max_frames=50, n_per_speaker=2)
    batches = list(train_loader(data))
    assert len(batches) == 4
    for batch in batches:
        assert batch["wave"].shape == (3, 2, 50 * 160 + 240) and batch["wave"].dtype == torch.float32
        owners = torch.from_numpy(data.train.speakers)[batch["index"]]
        assert (owners == batch["label"][:, None]).all() and len(set(batch["label"].tolist())) == 3
    for mine, other in zip(batches, train_loader(data, workers=2), strict=True):
        assert torch.equal(mine["wave"], other["wave"])


def test_only_the_crop_is_read_and_it_changes_by_epoch(speech, monkeypatch):
    data, asked = make(speech, max_frames=20), []
    original = read_wave

    def spy(path, start, frames):
        asked.append((path, start, frames))
        return original(path, start, frames)

    monkeypatch.setattr("projects.voxceleb.utterances.read_wave", spy)
    first, second = (data.train.load(epoch, 5) for epoch in (0, 1))
    assert len(first) == 20 * 160 + 240 == asked[0][2] and asked[0][1] != asked[1][1]
    assert not np.array_equal(first, second)
    assert len(make(speech, max_frames=300).train.load(0, 5)) == 300 * 160 + 240  # repeated to that length


def test_whole_files_come_longest_first(speech):
    data = make(speech)
    batch = next(iter(make_loader(data.val, 16, train=False)))
    lengths = [len(wave) for wave in batch["wave"]]
    assert lengths == sorted(lengths, reverse=True)
    for index, wave in zip(batch["index"], batch["wave"], strict=True):
        path = speech / "val" / data.trials.utterances[index]
        assert torch.equal(wave, torch.from_numpy(read_wave(str(path))))


def test_a_bad_training_file_is_named_once_and_replaced_by_the_speakers_next(copied, caplog):
    data = make(copied, max_frames=50, n_per_speaker=4, max_corrupt=1)
    bad = data.train.paths[6]
    write_wave(copied / "half.wav", np.ones(4000))
    content = (copied / "half.wav").read_bytes()
    Path(bad).write_bytes(content[:-2000])
    with caplog.at_level(logging.WARNING):
        batches = list(train_loader(data, 6)) + list(train_loader(data, 6))
    assert caplog.text.count("skipped") == 1 and bad in caplog.text and "cut off" in caplog.text
    assert all(batch["wave"].abs().amax(2).min() > 0 for batch in batches)
    Path(data.train.paths[7]).write_bytes(b"")
    with pytest.raises(UserError, match=r"unreadable files: 2, allowed: 1 \(data\.max_corrupt\)"):
        list(train_loader(data, 6))


def test_a_bad_trial_file_ends_the_run(copied):
    data = make(copied)
    samples = np.ones(4000, "<f4")
    samples[9] = np.nan
    path = copied / "val" / data.trials.utterances[3]
    header = path.read_bytes()[:44]
    path.write_bytes(
        header[:20]
        + b"\x03\0"
        + header[22:32]
        + b"\4\0\x20\0data"
        + (16000).to_bytes(4, "little")
        + samples.tobytes()
    )
    with pytest.raises(UserError, match="no audio"):
        list(make_loader(data.val, 16, train=False))
    path.unlink()
    with pytest.raises(UserError, match=r"data\.val"):
        make(copied).prepare()


def test_one_folder_for_both_keeps_the_trials_speakers_out_and_mini_draws_some(copied):
    data = make(copied, train="val")
    data.prepare()  # trials can be scored
    with pytest.raises(UserError, match="no speakers to train on: all 4 are in the trials"):
        _ = data.train
    shutil.copytree(copied / "train", copied / "val", dirs_exist_ok=True)
    assert make(copied, train="val").num_speakers == 6
    mini = make(copied, speakers=3, max_test_pairs=10)
    assert mini.num_speakers == 3 and len(mini.train) == 12
    assert mini.train.paths.tolist() == make(copied, speakers=3).train.paths.tolist()
    assert len(mini.trials.pairs) == 10 and mini.trials.target.sum() == 5
    with pytest.raises(UserError, match=r"data\.speakers"):
        _ = make(copied, speakers=7).train


def test_a_train_list_replaces_the_scan(copied):
    some = sorted((copied / "train").rglob("*.wav"))[:8]
    rows = [
        f"{path.relative_to(copied / 'train').parts[0]} {path.relative_to(copied / 'train')}" for path in some
    ]
    (copied / "train_list.txt").write_text("\n".join(rows))
    data = make(copied, train_list="train_list.txt")
    assert data.train.paths.tolist() == [str(path) for path in some] and data.num_speakers == 2
    (copied / "train_list.txt").write_text("only_one_word")
    with pytest.raises(UserError, match=r"data\.train_list"):
        _ = make(copied, train_list="train_list.txt").train


@pytest.fixture
def corpus(tmp_path):
    """Speakers a to d with three videos each, under `wav`."""
    for path in (f"wav/{speaker}/{video}/0.wav" for speaker in "abcd" for video in "uvw"):
        (tmp_path / path).parent.mkdir(parents=True)
        write_wave(tmp_path / path, np.ones(4000))
    (tmp_path / "link").symlink_to("wav")
    return tmp_path


@pytest.mark.parametrize(
    "val, prefix", [("wav", ""), (".", "wav/"), ("link", ""), (".", "link/"), ("wav/d", "../")]
)
def test_speakers_of_the_trials_are_left_out_wherever_their_paths_begin(corpus, caplog, val, prefix):
    (corpus / "t.txt").write_text(
        f"1 {prefix}a/u/0.wav {prefix}a/v/0.wav\n0 {prefix}a/u/0.wav {prefix}b/u/0.wav"
    )
    data = SpeakerData(str(corpus), "wav", val, "t.txt")
    with caplog.at_level(logging.INFO):
        assert {Path(path).parts[-3] for path in data.train.paths} == {"c", "d"}
    assert "2 to train on; 2 left out" in caplog.text


def test_a_train_list_with_labels_of_its_own_keeps_the_trials_speakers_out(corpus):
    (corpus / "t.txt").write_text("1 a/u/0.wav a/v/0.wav\n0 a/u/0.wav b/u/0.wav")
    rows = ["s0 a/u/0.wav", "s1 b/v/0.wav", "s1 b/w/0.wav", "s2 c/u/0.wav", "s3 d/u/0.wav"]  # b: other videos
    for train, prefix in (("wav", ""), (".", "wav/")):
        (corpus / "list.txt").write_text("\n".join(rows).replace(" ", f" {prefix}"))
        data = SpeakerData(str(corpus), train, "wav", "t.txt", train_list="list.txt")
        assert {Path(path).parts[-3] for path in data.train.paths} == {"c", "d"}


def test_of_a_folder_that_speakers_share_only_the_owners_of_trial_files_are_left_out(corpus):
    for name in "xyz":
        write_wave(corpus / "wav" / f"{name}.wav", np.ones(4000))
    (corpus / "t.txt").write_text("1 x.wav gone.wav\n0 x.wav d/u/1.wav")
    (corpus / "list.txt").write_text("sx x.wav\nsy y.wav\nsz z.wav\nsd d/u/0.wav")
    data = SpeakerData(str(corpus), "wav", "wav", "t.txt", train_list="list.txt")
    assert {Path(path).stem for path in data.train.paths} == {"y", "z"}


@pytest.mark.parametrize(
    "text, why", [("2 a b\n", "line 1"), ("1 a\n", "line 1"), ("1 a b\n1 b c\n", "both kinds")]
)
def test_wrong_trial_lists_are_refused(tmp_path, text, why):
    (tmp_path / "trials.txt").write_text(text)
    with pytest.raises(UserError, match=why):
        read_trials(tmp_path / "trials.txt")
    with pytest.raises(UserError, match=r"data\.trials"):
        read_trials(tmp_path / "gone.txt")


def test_trials_survive_a_file_and_subsets_are_balanced_and_fixed(tmp_path):
    speakers = np.repeat(np.arange(10), 6)
    drawn = draw_trials([f"{i}.wav" for i in range(60)], speakers, 200, seed=1, group=speakers % 2)
    same = speakers[drawn.pairs[:, 0]] == speakers[drawn.pairs[:, 1]]
    assert (same == drawn.target).all() and same.sum() == 100 and len(np.unique(drawn.pairs, axis=0)) == 200
    near = speakers[drawn.pairs] % 2
    assert ((near[:, 0] == near[:, 1]) & ~same).sum() == 50
    write_trials(tmp_path / "t.txt", drawn)
    read = read_trials(tmp_path / "t.txt")
    assert [(read.utterances[a], read.utterances[b]) for a, b in read.pairs] == [
        (f"{a}.wav", f"{b}.wav") for a, b in drawn.pairs
    ]
    few = subset(drawn, 20, seed=3)
    assert (
        few.target.sum() == 10
        and len(few.pairs) == 20
        and few.utterances == subset(drawn, 20, seed=3).utterances
    )
    lines = {(drawn.utterances[a], drawn.utterances[b]) for a, b in drawn.pairs}
    assert all((few.utterances[a], few.utterances[b]) in lines for a, b in few.pairs)
    scarce = Trials(drawn.utterances, drawn.pairs[:40], np.arange(40) < 3)
    assert subset(scarce, 20, seed=0).target.sum() == 3 and len(subset(scarce, 20, seed=0).pairs) == 20
    assert subset(drawn, None, 0) is drawn


def test_cached_mels_are_those_of_the_file_and_made_once(copied, tmp_path, monkeypatch):
    cache = MelCache(str(tmp_path / "mels"), 40)
    data = make(copied, max_frames=50, mel_cache=cache)
    first = next(iter(train_loader(data)))
    assert first["wave"].shape == (3, 2, 40, 52)
    path = data.train.paths[0]
    whole = log_mel(front_end(40), torch.from_numpy(read_wave(path))[None])[0]
    np.testing.assert_allclose(cache.load(path).T, whole, atol=0.01)
    monkeypatch.setattr("projects.voxceleb.audio.mels.read_wave", None)
    assert torch.equal(next(iter(train_loader(data)))["wave"], first["wave"])
    assert cache.crop(path, 900, np.random.default_rng(0)).shape == (40, 900)
    with pytest.raises(UserError, match=r"data\.augment=null"):
        make(copied, mel_cache=cache, augment=lambda wave, draw: wave)


def test_absolute_paths_in_lists_from_windows_mean_the_same_files(corpus):
    wav = corpus / "wav"
    rows = f"1\t{wav}/a/u/0.wav\t{wav}/a/v/0.wav\r\n0\t{wav}/a/u/0.wav\t{wav}/b/u/0.wav\r\n"
    (corpus / "t.txt").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    (corpus / "list.txt").write_bytes(
        f"\ufeffc\t{wav}/c/u/0.wav\r\nd d\\u\\0.wav\r\nb {wav}/b/v/0.wav\r\n".encode()
    )
    data = SpeakerData(str(corpus), "wav", "wav", "t.txt", train_list="list.txt")
    data.prepare()
    assert data.val.paths == [str(wav / name) for name in ("a/u/0.wav", "a/v/0.wav", "b/u/0.wav")]
    assert [Path(path).relative_to(wav).parts[0] for path in data.train.paths] == ["c", "d"]
