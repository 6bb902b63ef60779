"""95 % intervals: of shares of rows, of paired differences, and by resampling rows for other figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
CELLS = 1 << 20  # rows of resamples looked at together


def interval(figure: Callable[[np.ndarray], np.ndarray], rows: int, seed: int) -> list[float]:
    """95 % percentile interval of a figure over 1,000 bootstrap resamples of the rows (Efron 1979): lower, upper end.

    Parameters
    ----------
    figure : callable
        From counts (B, N), how often each row is in each of B samples, to B figures; those that are not a number
        (a sample without any positive, say) are left out.
    rows : int
        N.
    seed : int
    """
    generator, figures = np.random.default_rng(seed), []
    step = max(1, CELLS // rows)
    for start in range(0, RESAMPLES, step):
        drawn = [generator.integers(0, rows, rows) for _ in range(min(step, RESAMPLES - start))]
        figures.append(figure(np.stack([np.bincount(d, minlength=rows) for d in drawn]).astype(np.float64)))
    return [float(end) for end in np.nanquantile(np.concatenate(figures), (0.025, 0.975))]


def difference(a: np.ndarray, b: np.ndarray, seed: int) -> dict[str, object]:
    """Mean of a − b over rows that both were measured on, with its 95 % interval by bootstrap over these rows."""
    d = np.asarray(a, float) - np.asarray(b, float)
    ends = interval(lambda drawn: drawn @ d / len(d), len(d), seed)
    return {"mean": float(d.mean()), "interval": ends, "rows": len(d)}


def by_value(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of counts (B, N) over rows of equal value: (B, V) in ascending order, and the place of each row in it."""
    group = np.unique(values, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    return np.add.reduceat(counts[:, order], starts, axis=1), group


def wilson(hits: float, total: float) -> list[float]:
    """95 % interval of a share (Wilson 1927).

    Of hits that need not be whole, since a row with tied answers counts in parts; scipy's `binomtest` takes whole ones.
    """
    if total == 0:
        return [0.0, 1.0]
    z, p = 1.959964, hits / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def paired(a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    """Mean of a − b over paired draws with its 95 % interval (Student's t)."""
    from scipy import stats

    d = np.asarray(a, float) - np.asarray(b, float)
    half = float(stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))) if len(d) > 1 else math.inf
    return {"mean": float(d.mean()), "interval": [float(d.mean()) - half, float(d.mean()) + half], "draws": len(d)}
