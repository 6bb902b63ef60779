"""The first singular vectors of a large matrix, from a few products with it."""

from __future__ import annotations

from typing import Any

import numpy as np

OVERSAMPLING = 10
POWERS = 2
NOTHING = 1e-4  # of the largest singular value


def leading(matrix: Any, rank: int) -> np.ndarray:
    """Right singular vectors of the largest singular values (Halko, Martinsson, Tropp 2011, arXiv 0909.4061).

    Parameters
    ----------
    matrix : ndarray or scipy sparse array of float32 (N, F)
    rank : int

    Returns
    -------
    ndarray of float32 (F, rank)
        Columns in order of their singular values, the largest number of each positive; zeros where these are next to
        nothing beside the first, which is rounding.
    """
    rows, features = matrix.shape
    kept = min(rank, rows, features)
    found = np.zeros((features, rank), np.float32)
    if kept < 1:
        return found
    width = min(kept + OVERSAMPLING, rows, features)
    drawn = np.random.default_rng(0).standard_normal((features, width), np.float32)
    basis = np.linalg.qr(matrix @ drawn)[0]
    for _ in range(POWERS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    _, values, vectors = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    kept = min(kept, int((values > NOTHING * values[0]).sum()))
    vectors = vectors[:kept].T
    top = np.abs(vectors).argmax(0)
    found[:, :kept] = vectors * np.sign(vectors[top, np.arange(kept)])  # else rounding would decide the signs
    return found
