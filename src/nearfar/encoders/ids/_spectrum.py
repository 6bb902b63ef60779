"""The ridge regression of every item on all, as vectors of items."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.encoders.fixed._svd import leading

EXACT = 4000  # rows of the matrix up to which all its singular vectors are computed
NOTHING = 1e-6  # of the largest singular value


def spectrum(taken: Any, known: Any, rank: int, ridge: float) -> np.ndarray:
    """V·√(S²/(S² + λ)) of the first singular vectors of scipy sparse `taken` (N, I) above `known` (F, I): (I, rank).

    Each row is an item, and dot products of rows are the coefficients of a ridge regression with λ = `ridge`.
    """
    from scipy.sparse import vstack

    both = vstack([taken, known]).tocsr()
    rows, items = both.shape
    kept = min(rank, rows, items)
    made = np.zeros((items, rank), np.float32)
    if not both.nnz:
        return made
    if rows <= EXACT:
        squares, left = np.linalg.eigh((both @ both.T).toarray().astype(np.float64))
        squares, left = squares[::-1][:kept], left[:, ::-1][:, :kept]
        there = squares > NOTHING**2 * squares[0]
        squares = squares[there]
        vectors = (both.T @ left[:, there]) / np.sqrt(squares)
    else:
        vectors = leading(both, kept)
        squares = np.square(both @ vectors).sum(0)
    made[:, : len(squares)] = vectors * np.sqrt(squares / (squares + ridge))
    return made
