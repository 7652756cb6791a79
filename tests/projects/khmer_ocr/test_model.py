import pytest
import torch
from safetensors.torch import save_file

from projects.khmer_ocr.model import recogniser
from shared.errors import UserError
from shared.nets.line_recogniser import LineRecogniser
from shared.ocr.lines.batch import frames

SMALL = {"channels": (8, 16, 32), "blocks": (0, 1, 1), "layers": 1, "heads": 2}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LineRecogniser(20, **SMALL).eval()


def lines(*widths: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    image = torch.full((len(widths), 1, 32, max(widths)), 255, dtype=torch.uint8)
    for row, width in enumerate(widths):
        image[row, :, :, :width] = torch.randint(0, 256, (1, 32, width), dtype=torch.uint8)
    return image, torch.tensor(widths)


def test_two_frames_for_every_four_pixels(model):
    for width in (16, 17, 19, 20, 100):
        image, widths = lines(width)
        assert model(image, widths).shape == (1, frames(widths).item(), 20)


def test_padding_changes_next_to_nothing(model):
    """Beyond the strokes at the seam, a line's scores do not depend on the lines beside it."""
    image, widths = lines(400, 200)
    together = model(image, widths)[1, :40]
    alone = model(image[1:, :, :, :200], widths[1:])[0, :40]
    assert (together - alone).abs().mean() < 0.02 * alone.std()
    assert torch.equal(together.argmax(1), alone.argmax(1))


def test_every_weight_learns(model):
    fresh = LineRecogniser(20, **SMALL)
    fresh(*lines(80, 60)).logsumexp(2).sum().backward()
    assert not [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize(("option", "least", "most"), [("tiny", 1e6, 3e6), ("base", 8e6, 12e6)])
def test_sizes(option, least, most):
    import hydra

    from shared.config.root import ROOT

    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose("khmer_ocr", overrides=[f"model=khmer_ocr_{option}", "run_dir=x"])
    net = hydra.utils.instantiate(cfg.model)(num_classes=190, height=32)
    assert least < sum(p.numel() for p in net.parameters()) < most


def test_weights_of_another_charset_keep_all_but_the_classifier(model, tmp_path, caplog):
    path = tmp_path / "net.pth"
    torch.save(model.state_dict(), path)
    other = recogniser(30, 32, weights=str(path), **SMALL)
    assert torch.equal(other.collapse.weight, model.collapse.weight)
    assert "classify.weight" in caplog.text
    with pytest.raises(UserError, match="of another network"):
        recogniser(20, 32, weights=str(path), **{**SMALL, "channels": (8, 16, 64)})
    with pytest.raises(UserError, match="no file"):
        recogniser(20, 32, weights=str(tmp_path / "none.pth"), **SMALL)


def test_weights_of_another_height_and_named_tensors_load(tmp_path):
    """The kernel over the rows is stretched and keeps its sum; everything else goes over as it is."""
    low = recogniser(20, 32, **SMALL)
    save_file(low.state_dict(), tmp_path / "low.safetensors")
    same = recogniser(20, 32, weights=str(tmp_path / "low.safetensors"), **SMALL)
    assert all(torch.equal(a, b) for a, b in zip(low.parameters(), same.parameters(), strict=True))
    high = recogniser(20, 40, weights=str(tmp_path / "low.safetensors"), **SMALL)
    assert high.collapse.weight.shape[2] == 5
    assert torch.equal(high.classify.weight, low.classify.weight)
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match=r"bad\.safetensors"):
        recogniser(20, 32, weights=str(tmp_path / "bad.safetensors"), **SMALL)
