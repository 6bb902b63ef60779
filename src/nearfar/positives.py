"""Who belongs together: one integer per row; rows with the same integer are positives of each other."""

from __future__ import annotations

import numpy as np

from nearfar.errors import DataError
from nearfar.registry import METHODS


def groups(kind: str, rows: int, labels: np.ndarray | None, label_names: tuple[str, ...] = ()) -> np.ndarray:
    """The group of every row of a table.

    Parameters
    ----------
    kind : {"views", "labels"}
        ``views``: every row is a group of its own. ``labels``: class c is group c, and the unlabelled row r is
        group C + r, so it is a positive of its own other views only.
    rows : int
        Rows N of the table.
    labels : ndarray of int64 (N,), optional
        Class per row, -1 where there is none.
    label_names : tuple of str
        Names of the C classes.

    Returns
    -------
    ndarray of int64 (N,)
        Not negative.

    Raises
    ------
    DataError
        Labels are asked for and there are none.
    """
    own = np.arange(rows, dtype=np.int64)
    if kind == "views":
        return own
    if labels is None or not (labels >= 0).any():
        with_labels = ", ".join(m for m in METHODS if METHODS.get(m).RECORD.positives != "labels")
        raise DataError(
            "this method learns from labels, and the data have none.",
            hint=f"Name the column with --label, put each class in a folder of its own, or use a method "
            f"that needs none ({with_labels}).",
        )
    classes = max(len(label_names), int(labels.max()) + 1)
    return np.where(labels >= 0, labels, classes + own)
