"""Speech packed by scripts/shard.py: the same crops and speakers as from files, bit for bit."""

import torch

from projects.voxceleb.audio.waves import frames_of, read_wave
from projects.voxceleb.data import SpeakerData, scan
from shared.data.shards.packing import pack
from shared.data.shards.writer import Recipe, Sample, read_file
from shared.lightning.loader import make_loader


def pack_training(speech, out):
    samples = [
        Sample(path, path.removeprefix(f"{speech}/"), speaker) for path, speaker in scan(speech / "train")
    ]
    pack(samples, out, Recipe("audio", per_shard=10), read_file, jobs=1)
    return samples


def test_training_on_packed_speech_is_training_on_the_files(speech, tmp_path):
    samples = pack_training(speech, tmp_path / "packed")
    path, _ = scan(tmp_path / "packed")[5]
    assert frames_of(path) == frames_of(samples[5].source)
    assert (read_wave(path, 100, 50) == read_wave(samples[5].source, 100, 50)).all()
    found = []
    for train in ("train", str(tmp_path / "packed")):
        data = SpeakerData(str(speech), train, "val", "trials.txt", max_frames=50)
        found.append(next(iter(make_loader(data.train, 4, train=True, seed=1))))
    assert torch.equal(found[0]["label"], found[1]["label"]) and torch.equal(
        found[0]["wave"], found[1]["wave"]
    )


def test_packed_speakers_of_the_trials_are_left_out_wherever_their_paths_begin(speech, tmp_path):
    samples = pack_training(speech, tmp_path / "packed")
    a, b, c = (samples[row].name for row in (0, 1, 4))  # 4 utterances of each speaker
    (tmp_path / "trials.txt").write_text(f"1 {a} {b}\n0 {a} {c}\n")
    data = SpeakerData(str(tmp_path), "packed", ".", "trials.txt")
    out = {samples[0].label, samples[4].label}
    kept = [row for row in scan(tmp_path / "packed") if row[1] not in out]
    assert list(zip(*data.files, strict=True)) == kept and data.num_speakers == 4
