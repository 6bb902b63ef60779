"""Classifiers side by side on rows that they have not seen: what they are chosen and calibrated by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfar.data.groups import by_first
from nearfar.evaluation.protocols import linear_probe
from nearfar.vectors import calibration, knn
from nearfar.vectors.basics import TIE, right, standardised
from nearfar.vectors.intervals import wilson
from nearfar.vectors.logistic import Problem

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
        That calibrates its probabilities, see `nearfar.vectors.calibration.temperature`.
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
    x: np.ndarray, y: np.ndarray, classes: int, *, cs: Sequence[float], k: int | None, seed: int = 0,
    groups: np.ndarray | None = None, taught: np.ndarray | None = None,
) -> list[Candidate]:  # fmt: skip
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
    groups : ndarray of int64 (N,), optional
        Rows of equal number are left out together.
    taught : ndarray of bool (N,), optional
        Rows that taught the model whose vectors these are: they are learnt from, and not scored.

    Returns
    -------
    list of Candidate
        Empty where no class has rows of two groups, so that none can be left out.
    """
    if len(y) > ROWS:
        kept = np.random.default_rng(seed).permutation(len(y))
        if taught is not None:
            kept = kept[np.argsort(taught[kept], kind="stable")]  # first those that can be scored
        kept = np.sort(kept[:ROWS])
        x, y = x[kept], y[kept]
        groups, taught = (None if a is None else a[kept] for a in (groups, taught))
    fold = folds(y, seed, groups)
    out = np.zeros(len(y), bool)
    for f in np.unique(fold[fold >= 0]):
        out[fold == f] = np.isin(y[fold == f], y[fold != f])
    out &= True if taught is None else ~taught
    if not out.any():
        return []
    logits = {("logistic", c): np.zeros((len(y), classes), np.float32) for c in sorted(cs)}
    if k is not None:
        logits["knn", k] = np.zeros((len(y), classes), np.float32)
    for f in np.unique(fold[out]):
        held, rest = fold == f, fold != f
        known, weights = Known(x[rest], y[rest], classes), None
        train, test = standardised(x[rest], x[held]) if cs else (x, x)
        problem = Problem(train, known.y, classes) if cs else None
        for kind, setting in logits:
            if kind == "logistic":
                weights = problem.solve(setting, weights).weights
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


def folds(y: np.ndarray, seed: int = 0, groups: np.ndarray | None = None) -> np.ndarray:
    """The fold of every row, int64 (N,): 0 … 4, each with its share of every class, or −1 for a class's only row.

    Rows of a class go to the folds in turn, the next class going on where the last one stopped. So whichever fold is
    left out, every class of two rows or more has one in the others. Where rows have `groups`, these stay whole, and
    may leave a fold without a class.
    """
    if groups is not None and len(np.unique(groups)) < len(groups):
        return _of_groups(y, by_first(groups), np.random.default_rng(seed))
    generator, turn, fold = np.random.default_rng(seed), 0, np.full(len(y), -1, np.int64)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        if len(members) > 1:
            fold[members] = (turn + np.arange(len(members))) % FOLDS
            turn += len(members)
    return fold


def _of_groups(y: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Folds of whole groups, numbered 0 … G − 1: each, the largest first, goes where its classes have fewest rows.

    Groups all of whose classes have no other group are in no fold.
    """
    _, y, total = np.unique(y, return_inverse=True, return_counts=True)
    pairs, rows = np.unique(groups * len(total) + y, return_counts=True)
    owner, label = np.divmod(pairs, len(total))
    several = np.bincount(label, minlength=len(total)) > 1
    size = np.bincount(groups)
    order = generator.permutation(len(size))
    start = np.searchsorted(owner, np.arange(len(size) + 1))
    load, fold = np.zeros((FOLDS, len(total))), np.full(len(size), -1, np.int64)
    for g in order[np.argsort(-size[order], kind="stable")]:
        own, count = label[start[g] : start[g + 1]], rows[start[g] : start[g + 1]]
        if several[own].any():
            crowd = (load[:, own] * count / total[own]).sum(1).round(9)
            fold[g] = np.lexsort((load.sum(1), crowd))[0]
            load[fold[g], own] += count
    return fold[groups]
