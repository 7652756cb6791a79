"""The picture a sweep ends with: each job as a line through its settings, each setting alone against the metric."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestRegressor

from shared.files import replaced
from shared.runs.pages.picture import BLUE, GREEN, GRID, INK, MUTED, STYLE

MOST = 6  # settings shown: the most important ones
FEWEST = 6  # jobs from which importance is guessed at

Settings = dict[str, list[Any]]


def write_picture(folder: Path, rows: list[dict[str, Any]]) -> Path | None:
    """Draw `<folder>/sweep.png` of the rows with a result; None if there are too few or nothing varies."""
    rows = [row for row in rows if row["best"] is not None]
    settings = varied(rows)
    if len(rows) < 2 or not settings:
        return None
    best = np.array([row["best"] for row in rows], float)
    shares = importance(settings, best)
    order = sorted(settings, key=lambda name: -shares.get(name, 0.0))[:MOST]
    target = folder / "sweep.png"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(8, 2.6 * len(order)), 7.5), facecolor="white", layout="constrained")
        title = f"{len(rows)} jobs · best {rows[0]['monitor']} {rows[0]['best']:.4g} ({rows[0]['job']})"
        figure.suptitle(title, ha="left", x=0.02, fontsize=14, fontweight="bold", color=INK)
        above, below = figure.subfigures(2, 1, height_ratios=[1.2, 1])
        draw_lines(above.subplots(), {name: settings[name] for name in order}, rows, best)
        panels = below.subplots(1, len(order), sharey=True, squeeze=False)[0]
        for panel, name in zip(panels, order, strict=True):
            draw_slice(panel, name, settings[name], best, shares.get(name))
        panels[0].set_ylabel(rows[0]["monitor"])
        with replaced(target) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    return target


def varied(rows: list[dict[str, Any]]) -> Settings:
    """The settings in which the jobs differ: a value per job; numbers where all of them are."""
    parser = OverridesParser.create()
    jobs = [
        {each.get_key_element(): each.value() for each in parser.parse_overrides(row["settings"])}
        for row in rows
    ]
    found = {}
    for name in sorted(set().union(*jobs)):
        values = [job.get(name) for job in jobs]
        if len({str(value) for value in values}) > 1:
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            found[name] = values if numbers else [str(value) for value in values]
    return found


def importance(settings: Settings, best: np.ndarray) -> dict[str, float]:
    """Share of each setting in what a random forest explains of the metric; empty for too few jobs.

    A guess from few points: impurity importance (Breiman 2001), settings as ranks or codes.
    """
    if len(best) < FEWEST:
        return {}
    features = np.stack([coded(values)[0] for values in settings.values()], axis=1)
    forest = RandomForestRegressor(200, min_samples_leaf=2, random_state=0).fit(features, best)
    return dict(zip(settings, forest.feature_importances_.tolist(), strict=True))


def coded(values: list[Any]) -> tuple[np.ndarray, list[str]]:
    """Positions of the values on an axis from 0 to 1, logarithmic where they span decades, and labels of its ends.

    Words stand at even distances, and have all their labels.
    """
    if isinstance(values[0], str):
        words = sorted(set(values))
        return np.array([words.index(each) / (len(words) - 1) for each in values]), words
    numbers = np.array(values, float)
    if numbers.min() > 0 and numbers.max() >= 20 * numbers.min():
        numbers = np.log(numbers)
    position = (numbers - numbers.min()) / (numbers.max() - numbers.min())
    return position, [f"{min(values):.3g}", f"{max(values):.3g}"]


def draw_lines(panel: Axes, settings: Settings, rows: list[dict[str, Any]], best: np.ndarray) -> None:
    """Parallel coordinates, the metric last; the better a job, the stronger its line, the best one green."""
    axes = [(name, *coded(values)) for name, values in settings.items()]
    ends = [f"{best.min():.4g}", f"{best.max():.4g}"]
    spread = (best - best.min()) / ((best.max() - best.min()) or 1.0)
    axes.append((rows[0]["monitor"], spread, ends))
    heights = np.stack([position for _, position, _ in axes])
    for rank in range(len(rows) - 1, -1, -1):
        strength = 1 - rank / len(rows)
        color, width = (GREEN, 2.5) if rank == 0 else (BLUE, 1.0 + strength)
        panel.plot(heights[:, rank], color=color, linewidth=width, alpha=0.15 + 0.85 * strength)
    for x, (_, _, labels) in enumerate(axes):
        panel.axvline(x, color=GRID, zorder=0)
        for y, label in zip(np.linspace(0, 1, len(labels)), labels, strict=True):
            panel.annotate(label, (x, y), (4, 0), textcoords="offset points", fontsize=8, color=MUTED)
    panel.set_xticks(range(len(axes)), [name for name, _, _ in axes])
    panel.set_yticks([])
    panel.grid(False)


def draw_slice(panel: Axes, name: str, values: list[Any], best: np.ndarray, share: float | None) -> None:
    """The metric over one setting; its importance in the title."""
    panel.scatter(values, best, s=18, color=BLUE, alpha=0.7)
    panel.set_xlabel(name)
    if not isinstance(values[0], str) and min(values) > 0 and max(values) >= 20 * min(values):
        panel.set_xscale("log")
    if share is not None:
        panel.set_title(f"importance {share:.0%}", fontsize=10, color=MUTED)
