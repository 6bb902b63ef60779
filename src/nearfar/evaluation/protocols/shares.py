"""Shares of the labels: what a probe makes of 1 % and 10 % of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.evaluation.features import Features
from nearfar.evaluation.protocols.linear_probe import accuracy, on_tenth
from nearfar.vectors.basics import standardised
from nearfar.vectors.logistic import Problem

TITLE = "label shares"
TAKES = "labels"
FITS = True
SHARES = (0.01, 0.1)
DRAWS = 5
CHOICES = 5  # random tenths of the first draw's rows on which C is chosen


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracy of logistic regression on 1 % and 10 % of the labelled rows over 5 seeded draws, on all test rows.

    The usual measure of learning with few labels after learning without (Chen et al. 2020, arXiv 2002.05709, whose
    encoder is trained on with the labels; here it stays as it is). Every class gives its share, at least one row. C is
    that of the best mean accuracy over five random tenths of the first draw's rows.

    Returns
    -------
    dict
        By share, such as ``"1 %"``: ``mean``, ``std``, ``draws`` (the accuracies), ``settings``. A share of no more
        than one row of each class is left out.
    """
    found = {}
    for share in SHARES:
        if share * len(train.y) < 2 * len(np.unique(train.y)):
            continue
        chosen = [drawn(train.y, share, (seed, round(1000 * share), d)) for d in range(DRAWS)]
        parts = [_part(train, r) for r in chosen]
        c = _chosen(parts[0], seed)
        accuracies, converged = zip(*(_learnt(part, test, c) for part in parts), strict=True)
        settings = {
            "C": c, "C chosen on": f"{CHOICES} random tenths of the first draw", "draws": DRAWS, "seed": seed,
            "labelled_rows": len(chosen[0]), "test_rows": len(test.y),
            "features": "unnormalised, standardised by the labelled rows",
            "converged": all(converged),
        }  # fmt: skip
        found[_name(share)] = {
            "mean": float(np.mean(accuracies)), "std": float(np.std(accuracies, ddof=1)), "draws": list(accuracies),
            "settings": settings,
        }  # fmt: skip
    return found


def left_out(labels: np.ndarray) -> str:
    """What is not measured where these are the classes of the training rows, as a sentence; empty where all is."""
    classes = len(np.unique(labels))
    few = [_name(share) for share in SHARES if share * len(labels) < 2 * classes]
    has = f"{len(labels):,} training rows of {classes:,} classes"
    return f"{' and '.join(few)} of the labels: not measured, too few of {has}." if few else ""


def _name(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _part(train: Features, rows: np.ndarray) -> Features:
    groups = None if train.groups is None else train.groups[rows]
    return Features(train.x[rows], train.y[rows], train.classes, groups=groups)


def drawn(y: np.ndarray, share: float, seed: tuple[int, ...]) -> np.ndarray:
    """A share of the rows of every class, at least one, drawn by `seed`."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(y == c) for c in np.unique(y)]
    return np.concatenate([generator.choice(m, max(1, round(share * len(m))), replace=False) for m in members])


def _chosen(train: Features, seed: int) -> float:
    orders = [np.random.default_rng(seed + i).permutation(len(train.y)) for i in range(CHOICES)]
    by_draw = [scores for order in orders if (scores := on_tenth(train, order))]
    return float(max(by_draw[0], key=lambda c: sum(scores[c] for scores in by_draw))) if by_draw else 1.0


def _learnt(train: Features, test: Features, c: float) -> tuple[float, bool]:
    """Accuracy on the test rows, and whether the regression has converged."""
    x, t = standardised(train.x, test.x)
    fitted = Problem(x, train.y, train.classes).solve(c)
    return accuracy(fitted.weights, t, test.y), fitted.converged
