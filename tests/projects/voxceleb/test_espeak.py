"""The eSpeak source: real where the library is installed, refused by name where it is not."""

import sys

import numpy as np
import pytest

from projects.voxceleb.generated import espeak
from shared.errors import UserError


def test_without_the_library_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install espeakng-loader"):
        espeak.write_espeak(tmp_path / "speech")
    assert not (tmp_path / "speech").exists()


def test_every_voice_speaks_and_whole_variants_are_held_out(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    voice = espeak.Voice()
    for number, variant in enumerate(espeak.VARIANTS.split()):
        wave = voice.say("seven little trains", f"{espeak.ACCENTS[number % 4]}+{variant}", 50, 170)
        assert 8000 < len(wave) < 60_000 and np.isfinite(wave).all() and np.square(wave).mean() > 1e-4, (
            variant
        )
    monkeypatch.setattr(espeak, "VARIANTS", "f1 m1 f2")
    espeak.write_espeak(tmp_path / "speech", val_variants=2, utterances=2, trials=8)
    assert len(list((tmp_path / "speech/train").iterdir())) == 2
    assert len(list((tmp_path / "speech/val").iterdir())) == 4
    assert len((tmp_path / "speech/trials.txt").read_text().splitlines()) > 4
