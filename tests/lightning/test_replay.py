"""A poisoned step of a real run, replayed from its file."""

import pytest
import torch

from shared.errors import UserError
from shared.lightning.replay import replay
from shared.runs.diagnosis.finding import exit_code

POISON = "+callbacks.poison={_target_: shared.lightning.callbacks.poison.Poison, steps: [2], key: image}"


def test_a_poisoned_batch_is_told_from_poisoned_weights(tiny, tmp_path):
    run = tiny(POISON, "trainer.max_epochs=1")
    path = run.run_dir / "nonfinite" / "step_2.pt"
    (found,) = replay(path)
    assert "step 2: the batch itself holds NaN or Inf in image" in found.message
    assert exit_code([found]) == 2 and found.evidence[2].startswith("samples: ")
    culprit = torch.load(path, weights_only=True)

    culprit["batch"]["image"] = torch.nan_to_num(culprit["batch"]["image"])
    torch.save(culprit, tmp_path / "clean.pt")
    (found,) = replay(tmp_path / "clean.pt")
    assert "does not happen again" in found.message and found.severity == "warning"

    name = next(name for name, tensor in culprit["state"].items() if tensor.is_floating_point())
    culprit["state"][name].view(-1)[0] = torch.nan
    torch.save(culprit, tmp_path / "weights.pt")
    (found,) = replay(tmp_path / "weights.pt")
    assert f"first {name}" in found.message and "layer None" not in found.evidence[1]

    culprit["config"]["model"]["_target_"] = "os.system"
    torch.save(culprit, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"os\.system"):
        replay(tmp_path / "evil.pt")
    del culprit["state"]
    torch.save(culprit, tmp_path / "light.pt")
    with pytest.raises(UserError, match="weights were not kept"):
        replay(tmp_path / "light.pt")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"junk")
    with pytest.raises(UserError, match="cannot be read"):
        replay(tmp_path / "x.pt")
    torch.save({"a": 1}, tmp_path / "y.pt")
    with pytest.raises(UserError, match="no step"):
        replay(tmp_path / "y.pt")
