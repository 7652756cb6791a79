"""A line chart as inline SVG in the page's own colours: light, dark and print from one drawing."""

import html
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 56, WIDTH - 10, 12, HEIGHT - 26
MAX_POINTS = 1500


@dataclass(frozen=True)
class Line:
    """One curve; `ahead` draws it dashed. `colour` is a number of the page's palette."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    ahead: bool = False


@dataclass(frozen=True)
class Band:
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    colour: int = 0


@dataclass
class Chart:
    """`marks` are (epoch, words) of restarts, `events` of everything else worth a line."""

    title: str
    lines: list[Line]
    show: Callable[[float], str]
    bands: list[Band] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    logarithmic: bool = False

    def figure(self) -> str:
        """The chart as an HTML figure; a sentence where there is nothing to draw."""
        lines = [Line(c.name, *_finite(c.x, c.y, self.logarithmic), c.colour, c.ahead) for c in self.lines]
        lines = [line for line in lines if len(line.x)]
        title = html.escape(self.title)
        if not lines:
            return f"<figure><figcaption>{title}</figcaption><p class=sub>nothing was logged</p></figure>"
        x0, x1 = min(line.x.min() for line in lines), max(line.x.max() for line in lines)
        low, high = self._range(lines)

        def px(x):
            return LEFT + (np.asarray(x, float) - x0) / ((x1 - x0) or 1) * (RIGHT - LEFT)

        def py(y):
            y = np.clip(np.asarray(y, float), low, high)
            part = np.log(y / low) / math.log(high / low) if self.logarithmic else (y - low) / (high - low)
            return BOTTOM - part * (BOTTOM - TOP)

        parts = [self._axes(px, py, x0, x1, low, high)]
        for band in self.bands:
            ring = np.concatenate([np.c_[px(band.x), py(band.low)], np.c_[px(band.x), py(band.high)][::-1]])
            parts.append(
                f'<polygon class="band" style="fill:var(--c{band.colour % 6})" points="{_points(ring)}"/>'
            )
        parts += [
            self._marker(px(x), words, "mark", row)
            for row, (x, words) in enumerate(self.marks[:12])
            if x0 <= x <= x1
        ]
        parts += [
            self._marker(px(x), words, "event", row + 2)
            for row, (x, words) in enumerate(self.events[:12])
            if x0 <= x <= x1
        ]
        for line in lines:
            style = f'style="stroke:var(--c{line.colour % 6})"'
            kind = "line ahead" if line.ahead else "line"
            parts.append(
                f'<polyline class="{kind}" {style} points="{_points(np.c_[px(line.x), py(line.y)])}"/>'
            )
            if len(line.x) == 1:
                place = f'cx="{px(line.x)[0]:.1f}" cy="{py(line.y)[0]:.1f}"'
                parts.append(f'<circle r="3.5" {place} style="fill:var(--c{line.colour % 6})"/>')
        parts.append(f'<line class="cursor" y1="{TOP}" y2="{BOTTOM}"/>')
        svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
        data = html.escape(json.dumps(self._data(lines, x0, x1)))
        legend = "".join(
            f'<span><i style="background:var(--c{c.colour % 6})"></i>{html.escape(c.name)}</span>'
            for c in lines
        )
        return (
            f'<figure data-chart="{data}"><figcaption>{title}</figcaption><div class="legend">{legend}</div>'
            f'{svg}<div class="tip"></div></figure>'
        )

    def _range(self, lines: list[Line]) -> tuple[float, float]:
        values = np.concatenate(
            [line.y for line in lines] + [v[np.isfinite(v)] for b in self.bands for v in (b.low, b.high)]
        )
        low, high = float(values.min()), float(values.max())
        if self.logarithmic:
            low = max(low, high * 1e-6)
            return (low / 1.3, high * 1.3)
        room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        return low - room, high + room

    def _axes(self, px, py, x0: float, x1: float, low: float, high: float) -> str:
        parts = []
        for y in _decades(low, high) if self.logarithmic else _ticks(low, high, 5):
            at = py(y)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(
                f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{html.escape(self.show(y))}</text>'
            )
        for x in _ticks(x0, x1, 7):
            if x == round(x):
                parts.append(f'<text x="{px(x):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{x:g}</text>')
        return "".join(parts)

    def _marker(self, at: float, words: str, kind: str, row: int) -> str:
        anchor, shift = ("end", -4) if at > WIDTH / 2 else ("start", 4)
        height = BOTTOM - 6 - 14 * (row % 4)
        place = f'x="{at + shift:.1f}" y="{height}" text-anchor="{anchor}"'
        word = f'<text class="{kind}word" {place}>{html.escape(words[:30])}</text>'
        return f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{BOTTOM}"/>{word}'

    def _data(self, lines: list[Line], x0: float, x1: float) -> dict:
        series = [
            {
                "name": line.name,
                "x": np.round(line.x).astype(int).tolist(),
                "text": [self.show(v) for v in line.y],
            }
            for line in lines
            if len(line.x) <= MAX_POINTS
        ]
        return {
            "width": WIDTH,
            "left": LEFT,
            "right": RIGHT,
            "x0": float(x0),
            "x1": float(x1),
            "series": series,
        }


def _finite(x: np.ndarray, y: np.ndarray, positive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points that can be drawn, thinned to MAX_POINTS."""
    keep = np.isfinite(y) & ((y > 0) | (not positive))
    x, y = np.asarray(x)[keep], np.asarray(y)[keep]
    step = -(-len(x) // MAX_POINTS) or 1
    return x[::step], y[::step]


def _points(pairs: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers, about `count` of them."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    base = 10 ** math.floor(math.log10(raw))
    step = next(base * m for m in (1, 2, 5, 10) if base * m >= raw)
    first = math.ceil(low / step)
    return [round(n * step, 12) for n in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**p for p in powers][-6:] or [low, high]
