"""What protocols of labelled rows measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.core.errors import DataError


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
