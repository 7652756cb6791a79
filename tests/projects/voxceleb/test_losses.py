"""Losses: finite gradients at their singular points, labels in the order of the utterances."""

import math

import pytest
import torch
from torch.nn import functional as F

from projects.voxceleb.losses import AAMSoftmax, AngularPrototypical, Softmax, SoftmaxPrototypical

LOSSES = [AAMSoftmax, Softmax, AngularPrototypical, SoftmaxPrototypical]


def perfect(head, speakers, utterances):
    """Embeddings that are the speakers' own class weights, and labels in a shuffled order."""
    label = torch.randperm(speakers, generator=torch.Generator().manual_seed(1))
    weight = head.weight if isinstance(head, AAMSoftmax) else torch.eye(speakers, 140) * 50
    return weight.detach()[label][:, None].repeat(1, utterances, 1), label


def test_every_utterance_keeps_its_speaker():
    torch.manual_seed(0)
    head = AAMSoftmax(512, 140)
    embedding, label = perfect(head, 140, 2)
    _, means = head(embedding, label)
    assert means["acc"] == 1 and means["margin_acc"] == 1
    _, wrong = head(
        embedding.transpose(0, 1).reshape(140, 2, 512), label
    )  # the order bug: utterance-major rows
    assert wrong["acc"] < 0.1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-20, 0.0, 1e4])
def test_gradients_are_finite_at_collinear_and_zero_embeddings(loss, scale):
    torch.manual_seed(0)
    head = loss(512, 140)
    target = head.weight.detach() if isinstance(head, AAMSoftmax) else torch.randn(140, 512)
    for sign in (1, -1):
        embedding = (sign * scale * target)[:, None].repeat(1, 2, 1).requires_grad_()
        value, _ = head(embedding, torch.arange(140))
        head.zero_grad()
        value.backward()
        assert value.isfinite() and embedding.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


@pytest.mark.parametrize("degrees", [1, 45, 90, 150, 170, 179])
def test_aam_logit_is_the_cosine_of_the_widened_angle(degrees):
    head = AAMSoftmax(2, 3, margin=0.3)
    theta = math.radians(degrees)
    inside = theta + 0.3 <= math.pi
    expected = math.cos(theta + 0.3) if inside else math.cos(theta) - 0.3 * math.sin(0.3)
    assert head.penalise(torch.tensor(math.cos(theta), dtype=torch.float64)).item() == pytest.approx(
        expected, abs=1e-6
    )
    head.warmup = 0.0
    assert head.penalise(torch.tensor(math.cos(theta))).item() == pytest.approx(math.cos(theta), abs=1e-4)


def test_aam_is_cross_entropy_of_penalised_cosines():
    torch.manual_seed(0)
    head, x, label = AAMSoftmax(8, 5), torch.randn(6, 1, 8), torch.tensor([0, 1, 2, 3, 4, 0])
    cosines = F.normalize(x[:, 0], dim=1) @ F.normalize(head.weight, dim=1).T
    rows = torch.arange(6)
    cosines[rows, label] = (cosines[rows, label].acos() + 0.2).cos()
    torch.testing.assert_close(head(x, label)[0], F.cross_entropy(30 * cosines, label), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_cutting_the_batch_would_change_says_so(loss):
    torch.manual_seed(0)
    head, x, label = loss(8, 5), torch.randn(6, 2, 8), torch.tensor([0, 1, 2, 3, 4, 0])
    whole, parts = head(x, label)[0], [head(x[i : i + 1], label[i : i + 1])[0] for i in range(6)]
    same = torch.allclose(whole, torch.stack(parts).mean(), atol=1e-5)
    assert same != loss.compares_samples


def test_a_margin_accuracy_below_the_accuracy():
    head = AAMSoftmax(2, 2, margin=0.5)
    head.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    _, means = head(torch.tensor([[[math.cos(0.6), math.sin(0.6)]]]), torch.tensor([0]))
    assert means == {"acc": 1, "margin_acc": 0}


def test_prototypical_matches_its_definition():
    torch.manual_seed(0)
    head, x = AngularPrototypical(8, 4), torch.randn(4, 3, 8)
    logits = torch.stack([F.cosine_similarity(x[i, 2], x[:, :2].mean(1), dim=1) * 10 - 5 for i in range(4)])
    value, means = head(x, torch.arange(4))
    torch.testing.assert_close(value, F.cross_entropy(logits, torch.arange(4)))
    assert means["acc"] == (logits.argmax(1) == torch.arange(4)).float().mean()


def test_softmax_prototypical_is_the_sum_and_a_margin_is_an_angle():
    torch.manual_seed(0)
    head, x, label = SoftmaxPrototypical(8, 4), torch.randn(4, 2, 8), torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(head(x, label)[0], head.softmax(x, label)[0] + head.prototypical(x, label)[0])
    with pytest.raises(ValueError, match="margin"):
        AAMSoftmax(8, 4, margin=2.0)
