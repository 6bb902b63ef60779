"""Whether probabilities are what they say, and how to make them so."""

from __future__ import annotations

import numpy as np

BINS = 15
BOUNDS = (1e-3, 1e3)  # of the temperature


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T whose softmax(logits / T) has the least cross entropy (Guo et al. 2017, arXiv 1706.04599).

    N rows cannot tell how rare misses are below about one in N, and where all rows are right T would fall to zero.
    So each row counts as its own class to (N + 1) / (N + 2) and as the other classes for the rest (Platt 1999).

    Parameters
    ----------
    logits : ndarray (N, C)
        Of rows that what made them has not seen.
    labels : ndarray of int64 (N,)

    Returns
    -------
    float
        Between 0.001 and 1000; above 1 where the logits are over-confident.
    """
    from scipy.optimize import minimize_scalar

    z = np.asarray(logits, np.float64)
    z = z - z.max(1, keepdims=True)
    own, total = z[np.arange(len(z)), labels], z.sum(1)
    rest = 1 / (len(z) + 2)
    wanted = (1 - rest) * own + rest / (z.shape[1] - 1) * (total - own)

    def loss(log_t: float) -> float:
        b = np.exp(-log_t)
        return float((np.log(np.exp(b * z).sum(1)) - b * wanted).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of −log softmax(logits) at the labels."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(1, keepdims=True)
    return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]).mean())


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal width, weighed by rows.

    Naeini et al. 2015; as in Guo et al. 2017, arXiv 1706.04599.

    Parameters
    ----------
    confidence : ndarray (N,)
        Probability of the class that was chosen.
    right : ndarray of bool (N,)
        Whether it was the true one.
    bins : int
        The bin i holds (i / bins, (i + 1) / bins].
    """
    if len(confidence) == 0:
        return 0.0
    place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, np.asarray(right, np.float64) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))
