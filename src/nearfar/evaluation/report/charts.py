"""Small charts, as charts.html draws them: lines over steps, dots with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 220, 48, 30, 14, 12
ROW, GAP, NAMES = 16, 14, 110  # of dots: a line, the space between groups, the width of their names

Point = tuple[float, float]


def lines(
    series: dict[str, Sequence[Point]], *, x: str, title: str, level: float | None = None, level_name: str = ""
) -> dict[str, Any] | None:
    """Curves over a common axis, None of fewer than two points; `level` is a dashed line, such as a loss at chance."""
    finite = {n: [p for p in line if None not in p and all(map(math.isfinite, p))] for n, line in series.items()}
    points = [p for line in finite.values() for p in line]
    if len(points) < 2:
        return None
    xs, ys = [p[0] for p in points], [p[1] for p in points] + ([level] if level is not None else [])
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    low, high = _padded(min(ys), max(ys))
    up = _scale(low, high, HEIGHT - BOTTOM, TOP)
    return {
        "title": title, "x": x, "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM, "y_ticks": _ticks(low, high, up), "x_ticks": _ticks(min(xs), max(xs), across),
        "level": None if level is None else up(level), "level_name": level_name, "names": list(series),
        "paths": [(name, [(across(a), up(b)) for a, b in line]) for name, line in finite.items()],
    }  # fmt: skip


def dots(
    groups: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]], *, title: str
) -> dict[str, Any] | None:
    """For each group (a number of labels), a dot with an interval for every (name, value, low, high)."""
    flat = [d for _, ds in groups for d in ds]
    if not flat:
        return None
    low, high = _padded(min(d[2] for d in flat), max(d[3] for d in flat))
    low, high = max(0.0, low), min(1.0, high)
    at, y, drawn = _scale(low, high, NAMES, WIDTH - RIGHT), TOP + 6, []
    for label, ds in groups:
        placed = [
            {"name": name, "value": v, "low": a, "high": b, "x": at(v), "x_low": at(a), "x_high": at(b),
             "y": y + ROW * i + ROW / 2} for i, (name, v, a, b) in enumerate(ds)
        ]  # fmt: skip
        drawn.append({"name": label, "y": y + len(ds) * ROW / 2, "dots": placed})
        y += len(ds) * ROW + GAP
    height = y - 6 + BOTTOM
    return {
        "title": title, "width": WIDTH, "height": height, "left": NAMES, "top": TOP, "bottom": height - BOTTOM,
        "x_ticks": _ticks(low, high, at), "groups": drawn, "names": list(dict.fromkeys(d[0] for d in flat)),
    }  # fmt: skip


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda v: start + (v - low) / max(1e-12, high - low) * (end - start)


def _ticks(low: float, high: float, at: Callable[[float], float], count: int = 4) -> list[tuple[str, float]]:
    """Round numbers, as text, and where they stand."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= count + 1)
    first = math.ceil(low / step - 1e-9)
    values = [round(i * step, 10) for i in range(first, int(high / step + 1e-9) + 1)]
    return [(f"{v:g}", at(v)) for v in values]


def _padded(low: float, high: float) -> Point:
    pad = (high - low) * 0.06 or max(abs(low) * 0.1, 0.1)
    return low - pad, high + pad
