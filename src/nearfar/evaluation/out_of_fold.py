"""Classifiers side by side on rows that they have not seen: what they are chosen and calibrated by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfar.evaluation import calibration, knn, linear_probe
from nearfar.evaluation.features import TIE, right, standardised, wilson

FOLDS = 5
ROWS = 10_000  # at most so many are used, drawn by the seed
TAU = knn.SETTINGS[0][1]


@dataclass(frozen=True)
class Candidate:
    """A classifier, and what it did on rows that it had not seen.

    Parameters
    ----------
    kind : {"logistic", "knn"}
    setting : float
        C of logistic regression, or the k of kNN.
    hits : float
        Right ones; a row whose class has the best score together with others counts as its share.
    rows : int
        Among how many.
    temperature : float
        That calibrates its probabilities, see `nearfar.evaluation.calibration.temperature`.
    loss : float
        Cross entropy at this temperature.
    """

    kind: str
    setting: float
    hits: float
    rows: int
    temperature: float
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of right ones."""
        return self.hits / self.rows

    @property
    def interval(self) -> list[float]:
        """Its 95 % interval (Wilson)."""
        return wilson(self.hits, self.rows)


def candidates(
    x: np.ndarray, y: np.ndarray, classes: int, *, cs: Sequence[float], k: int | None, seed: int = 0
) -> list[Candidate]:
    """Logistic regression with each of `cs` and, unless `k` is None, kNN, each scored out of fold.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    y : ndarray of int64 (N,)
        Every class has a row.
    classes : int
    cs : sequence of float
    k : int or None
    seed : int
        Of the folds.

    Returns
    -------
    list of Candidate
        Empty where no class has two rows, so that none can be left out.
    """
    if len(y) > ROWS:
        kept = np.sort(np.random.default_rng(seed).permutation(len(y))[:ROWS])
        x, y = x[kept], y[kept]
    fold = folds(y, seed)
    out = np.flatnonzero(fold >= 0)
    if len(out) == 0:
        return []
    logits = {("logistic", c): np.zeros((len(y), classes), np.float32) for c in sorted(cs)}
    if k is not None:
        logits["knn", k] = np.zeros((len(y), classes), np.float32)
    for f in np.unique(fold[out]):
        held, rest = fold == f, fold != f
        known, weights = Known(x[rest], y[rest], classes), None
        train, test = standardised(x[rest], x[held]) if cs else (x, x)
        for kind, setting in logits:
            if kind == "logistic":
                weights = linear_probe.fit(train, known.y, classes, setting, start=weights)
                logits[kind, setting][held] = linear_probe.scores(weights, test).numpy()
            else:
                logits[kind, setting][held] = known.scores(x[held], setting)
    return [_candidate(kind, setting, z[out], y[out]) for (kind, setting), z in logits.items()]


@dataclass(frozen=True)
class Known:
    """Labelled rows that vote."""

    x: np.ndarray
    y: np.ndarray
    classes: int

    def scores(self, queries: np.ndarray, k: float) -> np.ndarray:
        """Logits (Q, classes) by the k nearest rows."""
        return knn.scores(self.x, self.y, queries, self.classes, min(int(k), len(self.y)), TAU).numpy()


def _candidate(kind: str, setting: float, logits: np.ndarray, labels: np.ndarray) -> Candidate:
    t = calibration.temperature(logits, labels)
    hits = float(right(logits, labels, TIE / TAU if kind == "knn" else TIE).sum())
    return Candidate(kind, setting, hits, len(labels), t, calibration.cross_entropy(logits / t, labels))


def folds(y: np.ndarray, seed: int = 0) -> np.ndarray:
    """The fold of every row, int64 (N,): 0 … 4, each with its share of every class, or −1 for a class's only row.

    Rows of a class go to the folds in turn, the next class going on where the last one stopped. So whichever fold is
    left out, every class of two rows or more has one in the others.
    """
    generator, turn, fold = np.random.default_rng(seed), 0, np.full(len(y), -1, np.int64)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        if len(members) > 1:
            fold[members] = (turn + np.arange(len(members))) % FOLDS
            turn += len(members)
    return fold
