"""Small charts as SVG text: lines over steps, dots with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 220, 48, 30, 14, 12


def lines(series: dict[str, Sequence[tuple[float, float]]], *, x: str, title: str, level: float | None = None,
          level_name: str = "") -> Markup:  # fmt: skip
    """Curves over a common axis. `level` draws a dashed line, such as the loss without learning."""
    points = [p for s in series.values() for p in s if _finite(*p)]
    if len(points) < 2:
        return Markup("")
    xs, ys = [p[0] for p in points], [p[1] for p in points] + ([level] if level is not None else [])
    x0, x1 = min(xs), max(xs)
    y0, y1 = _padded(min(ys), max(ys))

    def at(px: float, py: float) -> tuple[float, float]:
        return (
            LEFT + (px - x0) / max(1e-12, x1 - x0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (py - y0) / max(1e-12, y1 - y0) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_frame(x0, x1, y0, y1, at, x)]
    if level is not None:
        _, ly = at(x0, level)
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{ly:.1f}" y2="{ly:.1f}"/>')
        parts.append(
            f'<text class="note" x="{WIDTH - RIGHT - 4}" y="{ly - 4:.1f}" text-anchor="end">{escape(level_name)}</text>'
        )
    for i, (name, line) in enumerate(series.items()):
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in (at(*p) for p in line if _finite(*p)))
        parts.append(f'<polyline class="line s{i}" points="{path}"><title>{escape(name)}</title></polyline>')
    legend = (
        "".join(f'<span class="key"><i class="s{i}"></i>{escape(n)}</span>' for i, n in enumerate(series))
        if len(series) > 1
        else ""
    )
    return Markup(
        f"<figure><figcaption>{escape(title)} {legend}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def dots(groups: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]], *, title: str) -> Markup:
    """For each group (a number of labels), a dot with an interval for every (name, value, low, high)."""
    flat = [d for _, ds in groups for d in ds]
    if not flat:
        return Markup("")
    names = list(dict.fromkeys(d[0] for d in flat))
    lo, hi = _padded(min(d[2] for d in flat), max(d[3] for d in flat))
    lo, hi = max(0.0, lo), min(1.0, hi)
    row, left = 16, 110
    height = TOP + sum(len(ds) * row + 14 for _, ds in groups) + BOTTOM

    def at(v: float) -> float:
        return left + (v - lo) / max(1e-12, hi - lo) * (WIDTH - left - RIGHT)

    parts = []
    for tick in _ticks(lo, hi):
        parts.append(f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at(tick):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        )
    y = TOP + 6
    for label, ds in groups:
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + len(ds) * row / 2:.0f}" text-anchor="end">'
            f"{escape(label)}</text>"
        )
        for name, value, low, high in ds:
            i, cy = names.index(name), y + row / 2
            parts.append(
                f'<g class="dot s{i}"><line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{cy}" y2="{cy}"/>'
                f'<circle cx="{at(value):.1f}" cy="{cy}" r="4"/>'
                f"<title>{escape(name)}: {value:.3f} [{low:.3f}, {high:.3f}]</title></g>"
            )
            y += row
        y += 14
    legend = "".join(f'<span class="key"><i class="s{i}"></i>{escape(n)}</span>' for i, n in enumerate(names))
    return Markup(
        f'<figure class="wide"><figcaption>{escape(title)} {legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _frame(x0: float, x1: float, y0: float, y1: float, at, x: str) -> str:  # noqa: ANN001
    parts = []
    for tick in _ticks(y0, y1):
        _, y = at(x0, tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(x0, x1):
        a, _ = at(tick, y0)
        parts.append(f'<text class="tick" x="{a:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end">{escape(x)}</text>')
    return "".join(parts)


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= count + 1)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, int(high / step + 1e-9) + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.06 or max(abs(low) * 0.1, 0.1)
    return low - pad, high + pad


def _finite(*values: float | None) -> bool:
    return all(v is not None and math.isfinite(v) for v in values)
