"""Few labels: what a handful of labelled rows per class is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.data.groups import by_first
from nearfar.evaluation.features import Features
from nearfar.evaluation.protocols.linear_probe import accuracy
from nearfar.vectors.basics import standardised
from nearfar.vectors.logistic import Problem

TITLE = "few labels"
TAKES = "labels"
FITS = True
COUNTS = (1, 2, 5, 10)
DRAWS = 20
C = 10.0


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracy of logistic regression on 1, 2, 5 and 10 labels per class, over 20 seeded class-balanced draws.

    The draws depend on the labels and the seed only, so different embeddings are measured on the same ones and may
    be compared pair by pair.

    Returns
    -------
    dict
        By count: ``mean``, ``std``, ``draws`` (the accuracies), ``settings``. A count that some class with training
        rows has too few for is left out.
    """
    x, t = standardised(train.x, test.x)
    smallest = _smallest(train.y)
    about = "unnormalised, standardised by the training rows"
    return {
        str(count): learn(train, test, x, t, count, number=DRAWS, c=C, features=about, seed=seed)
        for count in COUNTS
        if count <= smallest
    }


def left_out(labels: np.ndarray) -> str:
    """What is not measured where these are the classes of the training rows, as a sentence; empty where all is."""
    smallest = _smallest(labels)
    counts = [str(count) for count in COUNTS if count > smallest]
    has = f"{smallest} training row{'s' * (smallest > 1)}"
    return f"{' and '.join(counts)} labels per class: not measured, a class has only {has}." if counts else ""


def _smallest(labels: np.ndarray) -> int:
    """Rows of the smallest class that has any."""
    return int(np.unique(labels, return_counts=True)[1].min())


def learn(
    train: Features, test: Features, x: np.ndarray, t: np.ndarray, count: int, *, number: int, c: float, features: str,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Accuracy on all test rows of logistic regression on `count` rows per class, draw by draw.

    Parameters
    ----------
    train, test : Features
        The labels.
    x, t : ndarray of float32 (N, D), (M, D)
        Their vectors as the regression is to see them; `features` says in words how they were made.
    count, number : int
        Rows of each class, and how many times they are drawn.
    c : float
        Inverse strength of the penalty, as scikit-learn's C.
    seed : int

    Returns
    -------
    dict
        ``mean``, ``std``, ``draws`` (the accuracies), ``settings``.
    """
    chosen = draws(train.y, train.classes, count, seed, number, train.groups)
    fitted = [Problem(x[r], train.y[r], train.classes).solve(c) for r in chosen]
    found = [accuracy(f.weights, t, test.y) for f in fitted]
    settings = {
        "C": c, "draws": number, "seed": seed, "labelled_rows": len(chosen[0]), "test_rows": len(test.y),
        "features": features, "converged": all(f.converged for f in fitted),
    }  # fmt: skip
    if train.groups is not None:
        groups = min(len(np.unique(train.groups[r])) for r in chosen)  # of the draw with fewest
        settings |= {"labelled_groups": groups} if groups < len(chosen[0]) else {}
    return {"mean": float(np.mean(found)), "std": float(np.std(found, ddof=1)), "draws": found, "settings": settings}


def draws(
    y: np.ndarray, classes: int, count: int, seed: int, number: int = DRAWS, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """`number` times `count` rows of every class; a class with fewer gives all it has.

    A class's rows are of as many groups as it has, so that `count` labels are not those of one picture and its copies.
    """
    members, chosen = [np.flatnonzero(y == c) for c in range(classes)], []
    for draw in range(number):
        generator = np.random.default_rng((seed, count, draw))
        chosen.append(np.concatenate([_some(m, min(count, len(m)), generator, groups) for m in members]))
    return chosen


def _some(rows: np.ndarray, count: int, generator: np.random.Generator, groups: np.ndarray | None) -> np.ndarray:
    if groups is None or len(np.unique(groups[rows])) == len(rows):
        return generator.choice(rows, count, replace=False)
    rows = generator.permutation(rows)
    number = by_first(groups[rows])
    order = np.argsort(number, kind="stable")
    start = np.searchsorted(number[order], np.arange(int(number.max()) + 1))
    turn = np.empty(len(rows), np.int64)
    turn[order] = np.arange(len(rows)) - start[number[order]]  # how many of its group came before
    return rows[np.argsort(turn, kind="stable")[:count]]
