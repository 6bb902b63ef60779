"""Pair classification: does the cosine tell pairs that belong together from pairs that do not?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Figure, Sides
from nearfar.vectors import intervals
from nearfar.vectors.intervals import wilson

TITLE = "pair classification"
PLACE = 10
TAKES = "labelled pairs"
FITS = False
OUTSIDE = 1.000001  # beyond every cosine of six decimals


def measure(sides: Sides, *, seed: int = 0, dev: Sides | None = None) -> dict[str, Any]:
    """Average precision of the cosine for the positive label, and the accuracy at a threshold that other pairs chose.

    Average precision is Σ (recall_i − recall_{i−1})·precision_i over the distinct cosines from high to low, as
    scikit-learn's and MTEB's (Muennighoff et al. 2022, arXiv 2210.07316). MTEB also reports the best accuracy of any
    threshold *on the test pairs*, which no user can have; here there is none without development pairs.

    Pairs without a label are left out. `dev` are other pairs with labels; the threshold with the best accuracy on them
    is taken.

    Returns
    -------
    dict
        ``average_precision``, ``positive`` (the label that says that sides belong together), ``interval`` (95 %, 1,000
        bootstrap resamples of the pairs, which takes pairs to be independent), ``chance`` (the share of the positive
        label), ``settings``; with `dev` also ``at_threshold``: ``accuracy``, ``interval`` (95 %, Wilson), ``majority``
        (accuracy of always predicting what most development pairs are) and its ``settings``.

    Raises
    ------
    DataError
        There are no labels, or only one kind of them.
    """
    cosine, label = _labelled(sides, "pairs")
    n = len(label)

    def figure(counts: np.ndarray) -> np.ndarray:
        return average_precision(cosine, label, counts)

    result = {
        "average_precision": float(figure(np.ones((1, n)))[0]), "positive": sides.positive,
        "interval": intervals.interval(figure, n, seed), "chance": float(label.mean()),
        "settings": {
            "pairs": n, "metric": "cosine", "left": sides.names[0], "right": sides.names[1],
            "resamples": intervals.RESAMPLES, "seed": seed,
        },
    }  # fmt: skip
    if dev is not None:
        values, truth = _labelled(dev, "development pairs")
        threshold = choose(values, truth)
        hits = int(((cosine >= threshold) == (label == 1)).sum())
        result["at_threshold"] = {
            "accuracy": hits / n, "interval": wilson(hits, n), "majority": floors.majority(truth, label),
            "settings": {"threshold": threshold, "chosen on": "the development pairs", "dev_pairs": len(truth)},
        }  # fmt: skip
    return result


def _labelled(sides: Sides, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and labels of the pairs that have one."""
    known = np.zeros(len(sides.left), bool) if sides.label is None else sides.label >= 0
    if len(np.unique(sides.label[known] if known.any() else ())) < 2:
        raise DataError(
            f"the {what} need labels of both kinds: {sides.positive!r} for those that belong together, and another."
        )
    return sides.cosines()[known], sides.label[known]


def average_precision(values: np.ndarray, label: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precision for label 1 in samples that hold row i ``counts[b, i]`` times, float64 (B,).

    NaN for a sample without label 1. Rows of equal value come together.
    """
    found, _ = intervals.by_value(-values, counts)
    right, _ = intervals.by_value(-values, counts * label)
    precision = right.cumsum(1) / np.maximum(found.cumsum(1), 1)
    positives = right.sum(1)
    return np.where(positives > 0, (precision * right).sum(1) / np.maximum(positives, 1), np.nan)


def choose(cosine: np.ndarray, label: np.ndarray) -> float:
    """The threshold with the best accuracy, the highest of equals; from it upwards pairs are said to be of label 1.

    Tried are the middles between neighbouring cosines, and one beyond each end.
    """
    values = np.unique(cosine)
    cuts = np.concatenate([[-OUTSIDE], (values[1:] + values[:-1]) / 2, [OUTSIDE]])
    ones, all_ = (np.bincount(np.searchsorted(values, cosine), w, len(values)) for w in (label, np.ones(len(label))))
    below = np.concatenate([[0.0], np.cumsum(all_ - ones)])  # label 0 below each cut
    above = ones.sum() - np.concatenate([[0.0], np.cumsum(ones)])  # label 1 above it
    right = below + above
    return float(cuts[np.flatnonzero(right == right.max())[-1]])


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The average precision."""
    about = f"positive: {result['positive']}" if "positive" in result else ""
    yield Figure(
        "average precision", result["average_precision"], about, interval=result.get("interval"),
        chance=result.get("chance"),
    )  # fmt: skip
