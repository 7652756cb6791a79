"""Differential-evolution Markov chain Monte Carlo, all walkers at once (ter Braak 2006)."""

from collections.abc import Callable

import numpy as np


def sample(
    log_density: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    steps: int,
    keep: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws from a density, shape (keep, dimensions), the latter half of the chains thinned evenly.

    `log_density` maps (walkers, dimensions) to (walkers,); `start` holds at least 2 * dimensions walkers, an
    even number. The two halves of the population move in turn, each along differences of the other.
    """
    walkers, size = start.shape
    state, density = start.copy(), log_density(start)
    halves = (np.arange(walkers // 2), np.arange(walkers // 2, walkers))
    kept = []
    for step in range(steps):
        jump = 1.0 if step % 10 == 9 else 2.38 / np.sqrt(2 * size)
        for movers, others in (halves, halves[::-1]):
            one, two = rng.choice(others, len(movers)), rng.choice(others, len(movers))
            scale = jump * rng.uniform(0.5, 1.0, (len(movers), 1))
            proposal = state[movers] + scale * (state[one] - state[two])
            proposal += rng.normal(0, 1e-4, proposal.shape)
            proposed = log_density(proposal)
            accepted = np.log(rng.uniform(size=len(movers))) < proposed - density[movers]
            state[movers[accepted]] = proposal[accepted]
            density[movers[accepted]] = proposed[accepted]
        if step >= steps // 2:
            kept.append(state.copy())
    draws = np.concatenate(kept)
    return draws[np.linspace(0, len(draws) - 1, keep).astype(int)]
