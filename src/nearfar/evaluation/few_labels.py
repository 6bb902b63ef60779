"""Few labels: what a handful of labelled rows per class is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.evaluation.features import Features, standardised
from nearfar.evaluation.linear_probe import fit, predict

TITLE = "few labels"
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
        By count: ``mean``, ``std``, ``draws`` (the accuracies), ``settings``. A count that some class has too few
        rows for is left out.
    """
    x, t = standardised(train.x, test.x)
    smallest = int(np.bincount(train.y, minlength=train.classes).min())
    found = {}
    for count in COUNTS:
        if count > smallest:
            continue
        accuracies = []
        for rows in draws(train.y, train.classes, count, seed):
            accuracies.append(float((predict(fit(x[rows], train.y[rows], train.classes, C), t) == test.y).mean()))
        found[str(count)] = {
            "mean": float(np.mean(accuracies)), "std": float(np.std(accuracies, ddof=1)), "draws": accuracies,
            "settings": {"C": C, "draws": DRAWS, "seed": seed, "test_rows": len(test.y),
                         "features": "unnormalised, standardised by the training rows"},
        }  # fmt: skip
    return found


def draws(y: np.ndarray, classes: int, count: int, seed: int) -> list[np.ndarray]:
    """`DRAWS` times `count` rows of every class."""
    chosen = []
    for draw in range(DRAWS):
        generator = np.random.default_rng((seed, count, draw))
        chosen.append(
            np.concatenate([generator.choice(np.flatnonzero(y == c), count, replace=False) for c in range(classes)])
        )
    return chosen
