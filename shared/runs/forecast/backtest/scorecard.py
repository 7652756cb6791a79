"""What a backtest found, as a table."""

import numpy as np

from shared.runs.forecast.backtest.backtest import Trial


def totals(trials: list[Trial]) -> dict:
    """Mean absolute and mean miss, coverage of the 80 % band, and every rival's mean absolute miss."""
    inside = [t.bands[0.1] <= t.truth <= t.bands[0.9] for t in trials]
    return {
        "forecasts": len(trials),
        "mean_absolute_miss": float(np.mean([abs(t.miss) for t in trials])),
        "mean_miss": float(np.mean([t.miss for t in trials])),
        "coverage_80": float(np.mean(inside)),
        "coverage_80_of_epochs": float(np.mean([t.covered for t in trials])),
        "rivals": {
            name: float(np.mean([abs(t.rivals[name] - t.truth) for t in trials])) for name in trials[0].rivals
        },
    }


def table(trials: list[Trial]) -> list[str]:
    """One line a forecast, all errors times 100, then the totals."""
    width = max(len(t.run) for t in trials)
    rivals = list(trials[0].rivals)
    lines = [
        f"{'run':{width}}  seen   truth    miss  80 % band      in  {'  '.join(f'{r:>10}' for r in rivals)}"
    ]
    for t in trials:
        low, high = 100 * t.bands[0.1], 100 * t.bands[0.9]
        held = "yes" if t.bands[0.1] <= t.truth <= t.bands[0.9] else "no"
        others = "  ".join(f"{100 * (t.rivals[r] - t.truth):+10.2f}" for r in rivals)
        lines.append(
            f"{t.run:{width}}  {t.seen:4d}  {100 * t.truth:6.2f}  {100 * t.miss:+6.2f}  {low:5.1f} .. {high:5.1f}"
            f"  {held:>3}  {others}"
        )
    found = totals(trials)
    means = "  ".join(f"{100 * found['rivals'][r]:10.2f}" for r in rivals)
    lines.append(
        f"{'mean absolute miss':{width}}                {100 * found['mean_absolute_miss']:6.2f}"
        + 22 * " "
        + means
    )
    ends, epochs = found["coverage_80"], found["coverage_80_of_epochs"]
    lines.append(f"coverage of the 80 % band: {ends:.0%} of the ends, {epochs:.0%} of all epochs")
    return lines
