"""Shots: 8 and 16 labelled rows per class, measured as text embeddings are."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.evaluation.features import Features
from nearfar.evaluation.protocols.few_labels import learn
from nearfar.vectors.basics import unit

TITLE = "shots"
TAKES = "labels"
FITS = True
COUNTS = (8, 16)
DRAWS = 10
C = 1.0  # scikit-learn's own, which both take


def left_out(labels: np.ndarray) -> str:
    """What is fewer than its name where these are the classes of the training rows, as a sentence; empty if nothing."""
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    counts = [str(count) for count in COUNTS if count > smallest]
    has = f"{smallest} training row{'s' * (smallest > 1)}"
    return f"{' and '.join(counts)} labels per class: a class has only {has}, and gives all." if counts else ""


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracy of logistic regression on 8 and 16 labels per class over 10 seeded draws, on all test rows.

    The protocol of SetFit's head (Tunstall et al. 2022, arXiv 2209.11055) and of classification in MTEB (Muennighoff
    et al. 2022, arXiv 2210.07316: 8 labels, 10 draws). From `few_labels` it differs in the counts, in 10 draws
    instead of 20, in features of unit length instead of standardised ones, in C = 1 instead of 10, and in that a
    class with too few rows gives all it has. Where it departs from theirs: SetFit trains the encoder on each draw,
    here it stays as it is; of two classes scikit-learn has one column of weights, whose C is 2 for the same regression;
    both take the encoder's vectors as they come, which are of unit length for most sentence
    encoders and are made so here.

    Returns
    -------
    dict
        By count: ``mean``, ``std``, ``draws`` (the accuracies), ``settings``.
    """
    return {
        str(count): learn(
            train, test, unit(train.x), unit(test.x), count, number=DRAWS, c=C, features="unit length", seed=seed
        )
        for count in COUNTS
    }
