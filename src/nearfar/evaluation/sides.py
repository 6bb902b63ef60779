"""Rows that have two sides, as protocols for pairs take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfar.core.errors import DataError
from nearfar.vectors.basics import check_finite, unit

DECIMALS = 6  # of a cosine: what follows is rounding of the vectors' 32 bits, so that equal pairs stay equal


@dataclass(frozen=True)
class Sides:
    """The two sides of rows that belong together.

    Parameters
    ----------
    left, right : ndarray of float32 (N, D)
        Not normalised.
    left_id, right_id : ndarray of int64 (N,)
        Equal content has equal numbers.
    names : tuple of str
        Of the two columns.
    score : ndarray of float (N,), optional
        How alike the sides are, in any unit.
    label : ndarray of int64 (N,), optional
        Whether the two sides belong together (1) or not (0), or −1 where nothing is said.
    positive : str
        The label that says that they do.

    Raises
    ------
    DataError
        There are no rows, vectors or scores are not finite, or a label is none of 1, 0 and −1.
    ValueError
        Lengths or widths differ.
    """

    left: np.ndarray
    right: np.ndarray
    left_id: np.ndarray
    right_id: np.ndarray
    names: tuple[str, str]
    score: np.ndarray | None = None
    label: np.ndarray | None = None
    positive: str = "1"

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.left.shape != self.right.shape:
            raise ValueError(f"right: expected the shape of left, {self.left.shape}, got {self.right.shape}")
        for name in ("left_id", "right_id", "score", "label"):
            values = getattr(self, name)
            if values is not None and values.shape != (len(self.left),):
                raise ValueError(f"{name}: expected shape {(len(self.left),)}, got {values.shape}")
        if len(self.left) == 0:
            raise DataError("there are no pairs to measure on.")
        check_finite(self.left, self.names[0])
        check_finite(self.right, self.names[1])
        if self.score is not None and not np.isfinite(self.score).all():
            raise DataError("some scores are not finite numbers.")
        if self.label is not None and not np.isin(self.label, (-1, 0, 1)).all():
            raise DataError("a pair's label is 1 (the sides belong together) or 0, or -1 where nothing is said.")

    def cosines(self) -> np.ndarray:
        """Cosine of the two sides of each row, to six decimals, float64 (N,)."""
        left, right = unit(self.left.astype(np.float64)), unit(self.right.astype(np.float64))
        return np.einsum("nd,nd->n", left, right).round(DECIMALS)
