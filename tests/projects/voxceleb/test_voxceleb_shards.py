"""Speech packed by scripts/shard.py: the same crops and speakers as from files, bit for bit."""

import torch

from projects.voxceleb.audio import frames_of, read_wave
from projects.voxceleb.data import SpeakerData, scan
from shared.data.loader import make_loader
from shared.data.packing import pack
from shared.data.shard_writer import Recipe, Sample, read_file


def test_training_on_packed_speech_is_training_on_the_files(speech, tmp_path):
    samples = [
        Sample(path, path.removeprefix(f"{speech}/"), speaker) for path, speaker in scan(speech / "train")
    ]
    pack(samples, tmp_path / "packed", Recipe("audio", per_shard=10), read_file, jobs=1)
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
