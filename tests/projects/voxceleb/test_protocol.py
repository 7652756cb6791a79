"""Scores against the reference protocol written plainly: crops, distances, one pair at a time."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from projects.voxceleb.model import ResNetSE34V2
from projects.voxceleb.trials.protocol import CUT, Protocol, as_norm, score_pairs
from shared.errors import UserError

LENGTHS = [CUT * 3, CUT * 3, CUT * 5 + 100, 2000, CUT * 5, CUT * 20]
PAIRS = torch.tensor([[0, 1], [0, 2], [3, 4], [4, 5], [2, 2], [5, 3]])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ResNetSE34V2(40, 16, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def waves():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, generator=generator) * 0.1 for n in LENGTHS]


def reference_score(network, first, second, frames=100):
    """clovaai/voxceleb_trainer: ten crops of each, wrapped when short, minus the mean distance of their embeddings."""
    sides = []
    for wave in (first.numpy(), second.numpy()):
        length = frames * 160 + 240
        if len(wave) <= length:
            wave = np.pad(wave, (0, length - len(wave)), "wrap")
        starts = np.linspace(0, len(wave) - length, num=10)
        crops = torch.tensor(np.stack([wave[int(s) : int(s) + length] for s in starts]))
        sides.append(F.normalize(network(crops), p=2, dim=1))
    return -(sides[0][:, None] - sides[1][None]).norm(dim=2).mean().item()


def test_crops10_scores_as_the_reference(network, waves):
    table = Protocol("crops10", frames=100, batch_seconds=25).embed(network, waves)
    assert table.shape == (6, 10, 16)
    expected = [reference_score(network, waves[a], waves[b]) for a, b in PAIRS.tolist()]
    np.testing.assert_allclose(score_pairs(table, PAIRS), expected, atol=1e-4)


def test_whole_embeds_each_utterance_once_and_scores_by_cosine(network, waves):
    seen = []

    def counting(batch):
        seen.append(tuple(batch.shape))
        return network(batch)

    table = Protocol(batch_seconds=0.25 * 8).embed(counting, waves)
    assert sorted(seen) == sorted([(2, 3 * CUT), (1, 5 * CUT), (1, 5 * CUT), (1, 2 * CUT), (1, 20 * CUT)])
    alone = torch.cat([Protocol().embed(network, [wave]) for wave in waves])
    torch.testing.assert_close(table, alone, atol=1e-5, rtol=0)
    expected = [F.cosine_similarity(table[a], table[b]).item() for a, b in PAIRS.tolist()]
    np.testing.assert_allclose(score_pairs(table, PAIRS), expected, atol=1e-6)


def test_many_pairs_are_scored_in_order():
    table = F.normalize(torch.randn(50, 1, 8, generator=torch.Generator().manual_seed(0)), dim=2)
    pairs = torch.randint(50, (1000, 2), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        score_pairs(table, pairs), (table[:, 0] @ table[:, 0].T)[pairs[:, 0], pairs[:, 1]]
    )


def test_as_norm_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    table, cohort = (F.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (6, 20))
    scores = score_pairs(table[:, None], PAIRS)
    found = as_norm(scores, table[:, None], PAIRS, cohort, top=5)
    for score, (a, b), one in zip(scores, PAIRS.tolist(), found, strict=True):
        sides = [sorted((cohort @ table[i]).tolist())[-5:] for i in (a, b)]
        expected = np.mean([(score.item() - np.mean(side)) / np.std(side, ddof=1) for side in sides])
        assert one.item() == pytest.approx(expected, rel=1e-4)


def test_wrong_settings_are_named():
    with pytest.raises(UserError, match=r"eval\.mode"):
        Protocol("half")
    with pytest.raises(UserError, match=r"eval\.as_norm"):
        Protocol("crops10", as_norm=100)
