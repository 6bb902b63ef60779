"""Semantic textual similarity: do cosines order pairs as people's scores do?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Figure, Sides
from nearfar.vectors import intervals

TITLE = "STS"
PLACE = 9
TAKES = "scored pairs"
FITS = False
CONSTANT = 1e-24  # a variance below this share of the largest square is rounding of 64 bits


def measure(sides: Sides, *, seed: int = 0) -> dict[str, Any]:
    """Rank correlation (Spearman) of cosines with scores, and the linear one (Pearson) beside it.

    The cosine is taken as it is: no regression is fitted on the scores (Reimers, Beyer and Gurevych, COLING 2016, for
    why ranks). Equals share their mean rank. An embedding whose cosines are all equal orders nothing and has 0.

    Returns
    -------
    dict
        ``spearman``, ``interval`` (95 %, 1,000 bootstrap resamples of the pairs, which takes pairs to be
        independent), ``pearson``: ``value`` and ``interval``; and ``settings``.

    Raises
    ------
    DataError
        There are no scores, or all are equal.
    """
    if sides.score is None:
        raise DataError("these pairs have no scores to compare cosines with.")
    cosine, score = sides.cosines(), np.asarray(sides.score, np.float64)
    if len(np.unique(score)) < 2:
        raise DataError("all scores are equal, so there is no order to compare cosines with.")

    def ranked(counts: np.ndarray) -> np.ndarray:
        return correlation(ranks(cosine, counts), ranks(score, counts), counts)

    def linear(counts: np.ndarray) -> np.ndarray:
        return correlation(cosine - cosine.mean(), score - score.mean(), counts)

    once, n = np.ones((1, len(score))), len(score)
    return {
        "spearman": float(ranked(once)[0]), "interval": intervals.interval(ranked, n, seed),
        "pearson": {"value": float(linear(once)[0]), "interval": intervals.interval(linear, n, seed)},
        "settings": {
            "pairs": n, "metric": "cosine", "left": sides.names[0], "right": sides.names[1],
            "resamples": intervals.RESAMPLES, "seed": seed,
        },
    }  # fmt: skip


def ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Ranks from 1 of values (N,) in samples that hold row i ``counts[b, i]`` times, equals sharing theirs; (B, N)."""
    size, group = intervals.by_value(values, counts)
    return (size.cumsum(1) - size + (size + 1) / 2)[:, group]


def correlation(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation of a and b, (N,) or (B, N), in samples given by counts (B, N); 0 where one is constant."""
    share = counts / counts.sum(1, keepdims=True)
    rounding = [CONSTANT * np.square(x).max(-1) for x in (a, b)]
    a, b = a - (share * a).sum(1, keepdims=True), b - (share * b).sum(1, keepdims=True)
    var_a, var_b = (share * a * a).sum(1), (share * b * b).sum(1)
    varies = (var_a > rounding[0]) & (var_b > rounding[1])
    return np.where(varies, (share * a * b).sum(1) / np.sqrt(np.where(varies, var_a * var_b, 1)), 0.0)


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """Spearman's correlation."""
    yield Figure("Spearman", result["spearman"], interval=result.get("interval"))
