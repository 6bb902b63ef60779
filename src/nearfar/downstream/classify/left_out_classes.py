"""Rows of classes that a classifier does not know, made by leaving out classes that it knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.downstream.classify.out_of_fold import ROWS, Known
from nearfar.evaluation.protocols import linear_probe
from nearfar.vectors import rejection
from nearfar.vectors.basics import standardised, unit
from nearfar.vectors.intervals import wilson
from nearfar.vectors.logistic import Problem

PARTS = 10  # of the classes; each part is left out in turn, which is each class where there are no more


def similarities(
    x: np.ndarray, y: np.ndarray, kind: str, setting: float, *, seed: int = 0, tested: np.ndarray | None = None
) -> np.ndarray:
    """Mean cosine of each row with the likeliest class of those that are left without its own, float32 (N,).

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    y : ndarray of int64 (N,)
        At least two classes.
    kind, setting : str, float
        The classifier, which is fitted without the classes left out.
    seed : int
        Which classes are left out together, where there are more than ten.
    tested : ndarray of bool (N,), optional
        Rows whose classes are left out; all by default.

    Returns
    -------
    ndarray
        NaN for rows that were not tested, or not drawn where there are more than 10,000.
    """
    generator, found = np.random.default_rng(seed), np.full(len(y), np.nan, np.float32)
    rows = np.sort(generator.permutation(len(y))[:ROWS])
    units = unit(x[rows])
    asked = np.ones(len(rows), bool) if tested is None else tested[rows]
    classes = generator.permutation(np.unique(y[rows][asked]))
    for part in np.array_split(classes, min(PARTS, len(classes))):
        out = np.isin(y[rows], part)
        present, left = np.unique(y[rows][~out], return_inverse=True)
        if not len(present):
            continue
        likeliest = _likeliest(x[rows[~out]], left, len(present), x[rows[out]], kind, setting)
        found[rows[out]] = rejection.to_class(units[~out], left, units[out], likeliest)
    return found


def _likeliest(
    x: np.ndarray, y: np.ndarray, classes: int, queries: np.ndarray, kind: str, setting: float
) -> np.ndarray:
    if classes == 1:
        return np.zeros(len(queries), np.int64)
    if kind == "knn":
        return Known(x, y, classes).scores(queries, setting).argmax(1)
    train, test = standardised(x, queries)
    return linear_probe.scores(Problem(train, y, classes).solve(setting).weights, test).numpy().argmax(1)


def mean_share(hits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """``refused``, the mean over the classes of each one's share of hits, and its 95 % ``interval``.

    Rows of one class are alike, so that they count for fewer independent ones: for as many as would spread a share as
    the classes' shares are spread, no fewer than there are classes (Kish 1965); the interval is Wilson's of these.
    """
    number, count = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    shares = np.bincount(number, hits) / count
    mean, rows = float(shares.mean()), float(len(shares))
    if 0 < mean < 1 and len(shares) > 1:
        spread = float(shares.var(ddof=1)) / len(shares)
        rows = float(np.clip(mean * (1 - mean) / max(spread, 1e-12), len(shares), len(labels)))
    return {"refused": mean, "interval": wilson(mean * rows, rows)}
