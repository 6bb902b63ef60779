"""Streams: do the scores of the windows of a long recording show its anomalies, or where it changes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Figure, Streams
from nearfar.evaluation.protocols.pair_classification import average_precision
from nearfar.vectors import streams
from nearfar.vectors.intervals import RESAMPLES, by_value, interval

TITLE = "stream"
PLACE = 13
TAKES = "streams"
FITS = False
BLOCK = 2  # lengths of a window that are resampled together, since steps beside each other have one score
NEAR = 2  # a change is found within one part in so many of a window


def measure(stream: Streams, *, seed: int = 0) -> dict[str, Any]:
    """Area under the ROC curve and average precision, step by step.

    A step has the mean score of the windows that hold it; of changes, the score of the windows that begin there, along
    lines between them, and right are steps within half a window of where the label changes. Steps without a label or a
    score are left out. Nothing is chosen on the labels, and no segment counts as found because one of its steps is:
    with this *point adjustment* random scores come near the best published ones (Kim et al. 2022, arXiv 2109.05257).

    Returns
    -------
    dict
        ``what`` is found, "anomalies" or "changes"; ``auc`` and ``average_precision``, each with an interval, 95 % by
        bootstrap over blocks of two windows; ``chance``, the share of the steps that are right; ``settings``.

    Raises
    ------
    DataError
        All steps are of one kind.
    """
    values, right, block = _steps(stream)
    if len(right) == 0 or right.all() or not right.any():
        kind = "no step that is scored is" if not right.any() else "all steps are"
        raise DataError(f"stream tells steps apart, and {kind} labelled as one of the {stream.what}.")
    count = int(block.max()) + 1

    def figures(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return area(values, right, counts), average_precision(values, right, counts)

    whole = figures(np.ones((1, len(values))))
    ends = [interval(lambda drawn, i=i: figures(drawn[:, block])[i], count, seed) for i in (0, 1)]
    return {
        "what": stream.what, "auc": float(whole[0][0]), "auc_interval": ends[0],
        "average_precision": float(whole[1][0]), "interval": ends[1], "chance": float(right.mean()),
        "settings": {"steps": len(values), "right": int(right.sum()), "blocks": count, "resamples": RESAMPLES,
                     "seed": seed},
    }  # fmt: skip


def _steps(stream: Streams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score of each step, whether it is right, and the block that it is resampled with."""
    length = int((stream.stop - stream.start).max(initial=1))
    found, blocks = [], 0
    for own, label in enumerate(stream.labels):
        rows = np.flatnonzero(stream.owner == own)
        place, score, steps = (stream.start[rows], stream.stop[rows]), stream.scores[rows], len(label)
        if stream.what == "changes":
            values, right = streams.between(score, place[0], steps), _near_changes(label, length // NEAR)
        else:
            values, right = streams.by_step(score, *place, steps), label > 0
        block = blocks + np.arange(steps) // (BLOCK * length)
        known = (label >= 0) & ~np.isnan(values)
        found.append((values[known], right[known], block[known]))
        blocks = int(block.max(initial=blocks - 1)) + 1
    values, right, block = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return values, right, np.unique(block, return_inverse=True)[1]


def _near_changes(label: np.ndarray, within: int) -> np.ndarray:
    """Whether the label changes within so many steps of each, bool (T,); steps without one are passed over."""
    known = np.flatnonzero(label >= 0)
    at = known[1:][label[known][1:] != label[known][:-1]]
    near = np.zeros(len(label) + 1, np.int64)
    np.add.at(near, np.maximum(at - within, 0), 1)
    np.add.at(near, np.minimum(at + within, len(label)), -1)
    return near.cumsum()[:-1] > 0


def area(values: np.ndarray, right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve in samples that hold row i ``counts[b, i]`` times, float64 (B,); ties count half.

    NaN for a sample of one kind.
    """
    (ones, _), (zeros, _) = (by_value(values, counts * kind) for kind in (right, ~right))
    below = zeros.cumsum(1) - zeros / 2
    pairs = ones.sum(1) * zeros.sum(1)
    return np.where(pairs > 0, (ones * below).sum(1) / np.maximum(pairs, 1), np.nan)


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The area and the average precision."""
    what = result.get("what", "")
    yield Figure(f"{what} AUC", result["auc"], "by step", interval=result.get("auc_interval"), chance=0.5)
    yield Figure(f"{what} average precision", result["average_precision"], "by step",
                 interval=result.get("interval"), chance=result.get("chance"))  # fmt: skip
