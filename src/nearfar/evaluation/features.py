"""What protocols measure, and the intervals around what they find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.errors import DataError

TIE = 1e-6  # numbers of 32 bits that differ by no more are equal: their last bits depend on the order of additions


@dataclass(frozen=True)
class Features:
    """Labelled vectors.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
        Not normalised.
    y : ndarray of int64 (N,)
        Classes; no −1.
    classes : int
        How many there are.
    prompts : ndarray of float32 (classes, D), optional
        Unit vectors of the classes' names, where the model reads them.
    about : mapping, optional
        How those were made (JSON values).
    groups : ndarray of int64 (N,), optional
        Rows of equal number are never held out from each other, see `nearfar.data.groups.together`.
    """

    x: np.ndarray
    y: np.ndarray
    classes: int
    prompts: np.ndarray | None = None
    about: Mapping[str, Any] | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"x: expected {len(self.y)} rows, got {len(self.x)}")
        if not np.isfinite(self.x).all():
            raise DataError("the vectors hold numbers that are not finite: the model is broken, or its input is.")


def standardised(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Each dimension to mean 0 and spread 1 *of the training rows*; constant dimensions become 0."""
    mean, scale = moments(train)
    return [((a - mean) * scale).astype(np.float32) for a in (train, *others)]


def moments(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `standardised` takes away from each dimension and multiplies it by, float64 (D,) each."""
    mean, spread = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    scale = np.where(spread > 1e-8 * max(1.0, float(spread.max(initial=0))), 1 / np.maximum(spread, 1e-30), 0)
    return mean, scale


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def chosen(scores: np.ndarray, tie: float = TIE) -> np.ndarray:
    """Probability with which each class is chosen, float64 (N, C): the best one, or any of several that are equal.

    Parameters
    ----------
    scores : ndarray (N, C)
        Cosines, logits or votes.
    tie : float
        Scores that differ by no more, in units of the best where that is above 1, are equal, so that neither the
        order of the classes nor that of the rows decides.
    """
    top = scores.max(1, keepdims=True)
    best = scores >= top - tie * np.maximum(1, np.abs(top))
    return best / best.sum(1, keepdims=True)


def right(scores: np.ndarray, truth: np.ndarray, tie: float = TIE) -> np.ndarray:
    """Probability that the true class is chosen, see `chosen`; float64 (N,)."""
    return chosen(scores, tie)[np.arange(len(truth)), truth]


def wilson(hits: float, total: int) -> list[float]:
    """95 % interval of a share (Wilson 1927)."""
    if total == 0:
        return [0.0, 1.0]
    z, p = 1.959964, hits / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def paired(a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    """Mean of a − b over paired draws with its 95 % interval (Student's t)."""
    from scipy import stats

    d = np.asarray(a, float) - np.asarray(b, float)
    half = float(stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))) if len(d) > 1 else math.inf
    return {"mean": float(d.mean()), "interval": [float(d.mean()) - half, float(d.mean()) + half], "draws": len(d)}
