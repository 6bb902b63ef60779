"""The first singular vectors of a large matrix, from a few products with it."""

from typing import Any

import numpy as np

OVERSAMPLING = 10
POWERS = 2
NOTHING = 1e-4  # of the largest singular value


def leading(matrix: Any, rank: int) -> np.ndarray:
    """Right singular vectors (F, rank) of the largest singular values of a dense or scipy sparse matrix (N, F).

    Halko, Martinsson, Tropp 2011, arXiv 0909.4061. Columns are in order of their singular values, the largest number of
    each positive; zeros where these are next to nothing beside the first, which is rounding.
    """
    rows, features = matrix.shape
    kept = min(rank, rows, features)
    result = np.zeros((features, rank), np.float32)
    if kept < 1:
        return result
    width = min(kept + OVERSAMPLING, rows, features)
    drawn = np.random.default_rng(0).standard_normal((features, width), np.float32)
    basis = np.linalg.qr(matrix @ drawn)[0]
    for _ in range(POWERS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    _, values, vectors = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    kept = min(kept, int((values > NOTHING * values[0]).sum()))
    vectors = vectors[:kept].T
    top = np.abs(vectors).argmax(0)
    result[:, :kept] = vectors * np.sign(vectors[top, np.arange(kept)])  # else rounding would decide the signs
    return result
