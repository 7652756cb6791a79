"""A small synthetic speech set, and a small network to train on it."""

from pathlib import Path

import pytest

from projects.voxceleb.generated.speech import write_speech

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """6 training speakers and 4 others, 4 utterances of about a second each."""
    folder = tmp_path_factory.mktemp("voxceleb") / "speech"
    write_speech(folder, speakers=6, val_speakers=4, utterances=4, seconds=0.8, trials=40)
    return folder
