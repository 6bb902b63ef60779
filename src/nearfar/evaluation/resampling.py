"""Intervals by resampling rows, for figures that are no share of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
CELLS = 1 << 20  # rows of resamples looked at together


def interval(figure: Callable[[np.ndarray], np.ndarray], rows: int, seed: int) -> list[float]:
    """95 % percentile interval of a figure over 1,000 bootstrap resamples of the rows (Efron 1979).

    Parameters
    ----------
    figure : callable
        From counts (B, N), how often each row is in each of B samples, to B figures; those that are not a number
        (a sample without any positive, say) are left out.
    rows : int
        N.
    seed : int

    Returns
    -------
    list of float
        Lower and upper end.
    """
    generator, found = np.random.default_rng(seed), []
    step = max(1, CELLS // rows)
    for start in range(0, RESAMPLES, step):
        drawn = [generator.integers(0, rows, rows) for _ in range(min(step, RESAMPLES - start))]
        found.append(figure(np.stack([np.bincount(d, minlength=rows) for d in drawn]).astype(np.float64)))
    return [float(end) for end in np.nanquantile(np.concatenate(found), (0.025, 0.975))]


def by_value(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of counts (B, N) over rows of equal value: (B, V) in ascending order, and the place of each row in it."""
    _, group = np.unique(values, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    return np.add.reduceat(counts[:, order], starts, axis=1), group
