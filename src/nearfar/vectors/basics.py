"""What nearly everything does with vectors: unit length, standardising, choosing the largest."""

from __future__ import annotations

import numpy as np

from nearfar.core.errors import DataError

UNIT = 0.01  # by which a length of 1 may differ, as half precision rounds it
TIE = 1e-6  # numbers of 32 bits that differ by no more are equal: their last bits depend on the order of additions


def standardised(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Each dimension to mean 0 and standard deviation 1 *of the training rows*; constant dimensions become 0."""
    mean, scale = moments(train)
    return [((a - mean) * scale).astype(np.float32) for a in (train, *others)]


def moments(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `standardised` subtracts from each dimension and multiplies it by, float64 (D,) each."""
    mean, std = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    # what is constant but for rounding becomes 0: divided by its deviation it would be noise of full size
    scale = np.where(std > 1e-8 * max(1.0, float(std.max(initial=0))), 1 / np.maximum(std, 1e-30), 0)
    return mean, scale


def scaled(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """As `standardised`, by `moments_of_model`."""
    mean, scale = moments_of_model(train)
    return [((a - mean) * scale).astype(np.float32) for a in (train, *others)]


def moments_of_model(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `moments`, but with one scale for all dimensions where the model gives vectors of unit length.

    Its dimensions are parts of one direction then, and to divide each by its own deviation, estimated from few rows,
    makes as much of those that hold little.
    """
    mean, scale = moments(train)
    if is_unit(train):
        scale = np.where(scale > 0, 1 / max(float(np.sqrt(train.var(0, dtype=np.float64).mean())), 1e-30), 0)
    return mean, scale


def is_unit(x: np.ndarray) -> bool:
    """Whether there are rows, and all have length 1 but for the rounding of half precision."""
    return len(x) > 0 and bool(np.abs(np.linalg.norm(x, axis=1) - 1).max() < UNIT)


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


def check_finite(x: np.ndarray, name: str) -> None:
    """Raises `DataError` if vectors of the column `name` are not finite."""
    if not np.isfinite(x).all():
        raise DataError(
            f"the vectors of {name!r} hold numbers that are not finite: the model is broken, or its input is."
        )
