"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nearfar.data.groups import by_first, whole
from nearfar.evaluation.protocols import Features, Figure
from nearfar.vectors.basics import chosen, right
from nearfar.vectors.intervals import wilson
from nearfar.vectors.logistic import Problem

TITLE = "linear probe"
PLACE = 1
TAKES = "labels"
FITS = True
CS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strengths of the penalty, as scikit-learn's C
CHOSEN_ON = 0.1  # of the training rows
CHOICE_ROWS = 10_000  # training rows that the choice of C is made with
ENOUGH = 100  # rows to choose on; where a tenth has fewer, further tenths are held out in turn


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Multinomial logistic regression, solved until it has converged.

    C is chosen on a tenth of the training rows, or on several in turn where that is fewer than 100 rows, then the
    regression is fitted on all. So is, of vectors that are compared by their directions, whether it sees these or each
    dimension standardised, which many labels may make more of.

    Returns
    -------
    dict
        ``accuracy``, ``interval``, ``settings``, and ``confusion`` (truth by row, counts; a row
        with several equally likely classes counts in parts, as it does in the accuracy).
    """
    forms = (train, replace(train, directions=False)) if train.directions else (train,)
    tried = [(*choose(form, seed), form) for form in forms]
    c, there, train = max(tried, key=lambda t: round(t[1].get(f"{t[0]:g}", 0.0), 9))
    x, t = train.standardised(slice(None), test.x)
    fitted = Problem(x, train.y, train.classes).solve(c)
    predicted = chosen(scores(fitted.weights, t).numpy())
    hits = float(predicted[np.arange(len(test.y)), test.y].sum())
    confusion = np.zeros((train.classes, train.classes))
    np.add.at(confusion, test.y, predicted)
    settings = {
        "C": c, "C chosen from": list(CS), "chosen on": "10 % of the training rows", "times": turns(len(train.y)),
        "accuracy there": there,
        "solver": "L-BFGS", "converged": fitted.converged, "seed": seed,
        "features": f"{train.form} by the training rows",
        "train_rows": len(train.y), "test_rows": len(test.y),
    }  # fmt: skip
    return {
        "accuracy": hits / len(test.y), "interval": wilson(hits, len(test.y)), "settings": settings,
        "confusion": [[int(n) if n.is_integer() else n for n in row] for row in confusion.tolist()],
    }  # fmt: skip


def choose(train: Features, seed: int) -> tuple[float, dict[str, float]]:
    """C with the best mean accuracy on tenths of the training rows (the smallest of equals), and all accuracies.

    A handful of held-out rows cannot tell the Cs apart; the strongest penalty predicts the most frequent class for all.
    """
    order = np.random.default_rng(seed).permutation(len(train.y))
    step = max(1, int(CHOSEN_ON * len(order)))
    tried = [t for i in range(turns(len(order))) if (t := on_tenth(train, np.roll(order, -i * step)))]
    if not tried:
        return 1.0, {}
    found = {c: float(np.mean([t[c] for t in tried])) for c in tried[0]}
    return float(max(found, key=lambda s: round(found[s], 9))), found


def turns(rows: int) -> int:
    """How many tenths of so many rows are held out, one after the other."""
    step = max(1, int(CHOSEN_ON * rows))
    return max(1, min(round(1 / CHOSEN_ON), rows // step, math.ceil(ENOUGH / step)))


def on_tenth(train: Features, order: np.ndarray) -> dict[str, float]:
    """Accuracy with each C on the first tenth of the rows in `order`, fitted on the others; empty where there are few.

    Rows of one group are all in that tenth or all outside of it.
    """
    aside = tenth(len(order), None if train.groups is None else train.groups[order])
    held, rest = order[aside], order[~aside][:CHOICE_ROWS]
    if len(held) == 0 or len(rest) < 2 or len(np.unique(train.y[rest])) < 2:
        return {}
    x, h = train.standardised(rest, train.x[held])
    problem, found, weights = Problem(x, train.y[rest], train.classes), {}, None
    for c in CS:
        weights = problem.solve(c, weights).weights
        found[f"{c:g}"] = accuracy(weights, h, train.y[held])
    return found


def tenth(rows: int, groups: np.ndarray | None) -> np.ndarray:
    """The first tenth of so many rows, one at least, or about as many of whole groups: bool (rows,)."""
    count = max(1, int(CHOSEN_ON * rows))
    if groups is None:
        return np.arange(rows) < count
    number = by_first(groups)
    return whole(number, np.zeros(rows, np.int64), [count], range(int(number.max()) + 1), each=True)


def accuracy(weights: torch.Tensor, x: np.ndarray, y: np.ndarray) -> float:
    """Expected share of standardised rows that are predicted correctly; of equally likely classes any may be."""
    return float(right(scores(weights, x).numpy(), y).mean())


def scores(weights: torch.Tensor, x: np.ndarray) -> torch.Tensor:
    """Logits of standardised rows, (N, classes)."""
    return torch.addmm(weights[-1], torch.from_numpy(x), weights[:-1])


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The accuracy."""
    yield Figure("linear probe", result["accuracy"], interval=result.get("interval"), majority=True)
