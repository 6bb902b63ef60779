"""Few labels: what a handful of labelled rows per class is worth; `FewLabels` is also what shots and shares are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.data.groups import by_first
from nearfar.evaluation.protocols import Features, Figure
from nearfar.evaluation.protocols.linear_probe import accuracy, on_tenth
from nearfar.vectors.basics import unit
from nearfar.vectors.logistic import Problem

TITLE = "few labels"
PLACE = 2
TAKES = "labels"
FITS = True
C = 10.0
# Of unit vectors with one scale for all dimensions: about 30 of the vectors as they are. On training rows of five sets
# of texts (MiniLM, 8 a class) and of clothes (EfficientNet, 5 and 10) it was above 10 on each, by up to .01.
C_OF_DIRECTIONS = 0.1
CHOICES = 5  # random tenths of the first draw's rows on which C is chosen
TRAINING, LABELLED, UNIT = "by the training rows", "by the labelled rows", "unit length"


@dataclass(frozen=True)
class FewLabels:
    """Logistic regression on few labelled rows, drawn several times.

    The draws depend on the labels and the seed only, so different embeddings are measured on the same ones and may
    be compared pair by pair.

    Parameters
    ----------
    amounts : tuple of int or of float
        Labelled rows of each class, or shares of each class's rows.
    draws : int
    c : float, optional
        Inverse strength of the penalty, as scikit-learn's C; None chooses it on tenths of the first draw.
    features : str
        How the regression sees the vectors: standardised by all `TRAINING` rows or by the `LABELLED` ones, or at
        `UNIT` length.
    smaller : bool
        A class with fewer rows than the amount gives all it has, instead of the amount being left out.
    """

    amounts: tuple[int, ...] | tuple[float, ...]
    draws: int
    c: float | None
    features: str
    smaller: bool = False

    def measure(self, train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
        """By amount: ``mean``, ``std``, ``draws`` (the accuracies on all test rows) and ``settings``."""
        x, t = train.x, test.x
        if self.features != LABELLED:
            x, t = (unit(x), unit(t)) if self.features == UNIT else train.standardised(slice(None), t)
        measured = [a for a in self.amounts if self.smaller or self._enough(train.y, a)]
        return {named(amount): self._learn(train, test, x, t, amount, seed) for amount in measured}

    def left_out(self, labels: np.ndarray) -> str:
        """A sentence about amounts that these classes of training rows are too few for; empty if there are none."""
        counts = np.unique(labels, return_counts=True)[1]
        short = " and ".join(named(a) for a in self.amounts if not self._enough(labels, a))
        if not short:
            return ""
        if isinstance(self.amounts[0], float):
            rows = f"{len(labels):,} training rows of {len(counts):,} classes"
            return f"{short} of the labels: not measured, too few of {rows}."
        has = f"a class has only {counts.min()} training row{'s' * bool(counts.min() > 1)}"
        return f"{short} labels per class: " + (f"{has}, and gives all." if self.smaller else f"not measured, {has}.")

    def _enough(self, labels: np.ndarray, amount: float) -> bool:
        counts = np.unique(labels, return_counts=True)[1]
        # of a share, two rows a class: one is what the count of 1 measures
        return amount * len(labels) >= 2 * len(counts) if isinstance(amount, float) else amount <= counts.min()

    def _learn(
        self, train: Features, test: Features, x: np.ndarray, t: np.ndarray, amount: float, seed: int
    ) -> dict[str, Any]:
        chosen = draws(train.y, train.classes, amount, seed, self.draws, train.groups)
        usual = C_OF_DIRECTIONS if train.directions and self.features == TRAINING else self.c
        c = _best(train, chosen[0], seed) if usual is None else usual
        fitted, accuracies = [], []
        for rows in chosen:
            fit, score = train.standardised(rows, t) if self.features == LABELLED else (x[rows], t)
            fitted.append(Problem(fit, train.y[rows], train.classes).solve(c))
            accuracies.append(accuracy(fitted[-1].weights, score, test.y))
        settings = {"C": c} | ({"C chosen on": f"{CHOICES} random tenths of the first draw"} if self.c is None else {})
        settings |= {
            "draws": self.draws, "seed": seed, "labelled_rows": len(chosen[0]), "test_rows": len(test.y),
            "features": UNIT if self.features == UNIT else f"{train.form} {self.features}",
            "converged": all(f.converged for f in fitted),
        }  # fmt: skip
        if train.groups is not None and not isinstance(amount, float):
            groups = min(len(np.unique(train.groups[r])) for r in chosen)  # of the draw with fewest
            settings |= {"labelled_groups": groups} if groups < len(chosen[0]) else {}
        mean, std = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
        return {"mean": mean, "std": std, "draws": accuracies, "settings": settings}


def figures(result: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    """One for each amount; over seeds without the standard deviation between draws."""
    for n, r in result.items():
        name = f"{n} of the labels" if "%" in n else f"{n} label{'s' if n != '1' else ''} per class"
        beside = "" if isinstance(r.get("std"), Mapping | None) else f"± {r['std']:.3f}"
        yield Figure(name, r["mean"], beside=beside, draws=r.get("draws"))


def named(amount: float) -> str:
    """What results call an amount: ``8``, or ``10 %``."""
    return f"{amount:.0%}".replace("%", " %") if isinstance(amount, float) else str(amount)


def draws(
    y: np.ndarray, classes: int, amount: float, seed: int, number: int = 20, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """`number` times so many rows of every class, or such a share of them.

    A class with fewer rows gives all it has, and at least one of a share. Counted rows are of as many groups as the
    class has, so that they are not those of one picture and its copies.
    """
    members, chosen = [np.flatnonzero(y == c) for c in range(classes)], []
    for draw in range(number):
        if isinstance(amount, float):
            generator = np.random.default_rng((seed, round(1000 * amount), draw))
            some = [generator.choice(m, max(1, round(amount * len(m))), replace=False) for m in members if len(m)]
        else:
            generator = np.random.default_rng((seed, amount, draw))
            some = [_of_groups(m, min(amount, len(m)), generator, groups) for m in members]
        chosen.append(np.concatenate(some))
    return chosen


def _of_groups(rows: np.ndarray, count: int, generator: np.random.Generator, groups: np.ndarray | None) -> np.ndarray:
    if groups is None or len(np.unique(groups[rows])) == len(rows):
        return generator.choice(rows, count, replace=False)
    rows = generator.permutation(rows)
    number = by_first(groups[rows])
    order = np.argsort(number, kind="stable")
    start = np.searchsorted(number[order], np.arange(int(number.max()) + 1))
    turn = np.empty(len(rows), np.int64)
    turn[order] = np.arange(len(rows)) - start[number[order]]  # how many of its group came before
    return rows[np.argsort(turn, kind="stable")[:count]]


def _best(train: Features, rows: np.ndarray, seed: int) -> float:
    """C with the best mean accuracy on random tenths of the rows; 1 where they are too few to choose by."""
    groups = None if train.groups is None else train.groups[rows]
    part = replace(train, x=train.x[rows], y=train.y[rows], groups=groups)
    orders = (np.random.default_rng(seed + i).permutation(len(rows)) for i in range(CHOICES))
    tried = [scores for order in orders if (scores := on_tenth(part, order))]
    return float(max(tried[0], key=lambda c: sum(scores[c] for scores in tried))) if tried else 1.0


FEW = FewLabels(amounts=(1, 2, 5, 10), draws=20, c=C, features=TRAINING)
measure = FEW.measure
left_out = FEW.left_out
