"""Verification: does the cosine tell pairs of one person, speaker or thing from pairs of two?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Features, Figure
from nearfar.vectors.basics import unit

TITLE = "verification"
PLACE = 11
TAKES = "labels"
FITS = False
BINS = 1 << 16  # of cosines from -1 to 1; pairs of one bin are tied
TILE = 1024  # rows of a side that are compared at a time
COARSE = 32  # bins that are one in the intervals
RESAMPLES = 200
RESAMPLED = 1000  # rows at most of a resample
FALSE_ACCEPTS = 0.01  # share at which true accepts are told


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Equal error rate and area under the ROC curve over all pairs of test rows; nothing is fitted.

    A pair is genuine where both rows have one label, else an impostor pair. Accepted are pairs above a threshold. The
    equal error rate is where as many impostor pairs are accepted, in share, as genuine ones are rejected, on the convex
    line between neighbouring thresholds; the area is the share of pairs of pairs in which the genuine one has the
    higher cosine, ties counting half (Fawcett 2006). A threshold may lie between tied pairs, by chance, so that a
    collapsed embedding has an error of 0.5 and an area of 0.5.

    Intervals (95 %) are of 200 bootstrap resamples of the *rows*, since the pairs of a row are not independent: at most
    1,000 rows, drawn by `seed`, with no pair of a row and its own copy.

    Returns
    -------
    dict
        ``eer``, ``auc``, each with its interval ``eer_interval``, ``auc_interval``; ``true_accepts`` at a share of
        false accepts of 0.01; and ``settings``.

    Raises
    ------
    DataError
        All pairs are of one kind.
    """
    x, y = unit(test.x.astype(np.float32)), test.y
    genuine, impostor = np.zeros((2, BINS))
    for place, same in _pairs(x, y):
        genuine += np.bincount(place[same], minlength=BINS)
        impostor += np.bincount(place[~same], minlength=BINS)
    if not genuine.sum() or not impostor.sum():
        kind = "rows of one label" if not genuine.sum() else "rows of different labels"
        raise DataError(f"verification compares pairs, and no two of the {len(y):,} test rows are {kind}.")
    false, true = curve(genuine, impostor)
    intervals = _intervals(x, y, seed)
    return {
        "eer": equal_error(false, true), "eer_interval": intervals[0], "auc": area(false, true),
        "auc_interval": intervals[1], "true_accepts": float(np.interp(FALSE_ACCEPTS, false, true)),
        "settings": {
            "rows": len(y), "labels": len(np.unique(y)), "genuine": int(genuine.sum()), "impostor": int(impostor.sum()),
            "metric": "cosine", "false accepts": FALSE_ACCEPTS, "resamples": RESAMPLES, "seed": seed,
            "resampled rows": min(len(y), RESAMPLED),
        },
    }  # fmt: skip


def _pairs(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Bin of the cosine, and whether the labels are equal, of every pair of rows once; in tiles."""
    for i in range(0, len(x), TILE):
        for j in range(i, len(x), TILE):
            place, same = places(x[i : i + TILE], x[j : j + TILE]), y[i : i + TILE, None] == y[None, j : j + TILE]
            once = np.triu(np.ones_like(same), 1) if i == j else np.ones_like(same)
            yield place[once], same[once]


def places(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Bins of the cosines of unit vectors (A, D) and (B, D), int64 (A, B); equal vectors are in the last one."""
    return np.clip((a @ b.T + 1) * (BINS / 2), 0, BINS - 1).astype(np.int64)


def curve(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of impostor and of genuine pairs above each threshold, from none to all, float64 (bins + 1,)."""
    false, true = (np.concatenate([[0.0], np.cumsum(h[::-1])]) / h.sum() for h in (impostor, genuine))
    return false, true


def area(false: np.ndarray, true: np.ndarray) -> float:
    """Area under the curve, by trapezia, which count ties half."""
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1])) / 2)


def equal_error(false: np.ndarray, true: np.ndarray) -> float:
    """The share of false accepts that equals that of false rejects, on the line between two thresholds."""
    gap = false - (1 - true)  # from -1 up to 1
    k = int(np.searchsorted(gap, 0.0))
    if gap[k] == 0 or k == 0:
        return float(false[k])
    part = -gap[k - 1] / (gap[k] - gap[k - 1])
    return float(false[k - 1] + part * (false[k] - false[k - 1]))


def _intervals(x: np.ndarray, y: np.ndarray, seed: int) -> list[list[float] | None]:
    """95 % intervals of the equal error rate and of the area; None where hardly a resample has both kinds of pairs."""
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.permutation(len(y))[:RESAMPLED])
    i, j = np.triu_indices(len(rows), 1)
    place, same = places(x[rows], x[rows])[i, j] // COARSE, (y[rows][:, None] == y[rows])[i, j]
    found = []
    for _ in range(RESAMPLES):
        times = np.bincount(draw.integers(0, len(rows), len(rows)), minlength=len(rows)).astype(np.float64)
        weight = times[i] * times[j]
        kinds = [np.bincount(place[kind], weight[kind], BINS // COARSE) for kind in (same, ~same)]
        if all(h.sum() for h in kinds):
            line = curve(*kinds)
            found.append((equal_error(*line), area(*line)))
    if len(found) < RESAMPLES / 2:
        return [None, None]
    return [[float(v) for v in np.quantile(of, (0.025, 0.975))] for of in zip(*found, strict=True)]


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The area, of which more is better, and the equal error rate."""
    yield Figure("AUC", result["auc"], "all pairs", interval=result.get("auc_interval"), chance=0.5)
    yield Figure("equal error rate", result["eer"], "all pairs", interval=result.get("eer_interval"), compared=False)
