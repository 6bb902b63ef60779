"""The predictions of a classifier: as arrays, as a table, and against the true classes where these are known."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core import files
from nearfar.core.errors import DataError
from nearfar.vectors.calibration import calibration_error
from nearfar.vectors.intervals import wilson

COLUMNS = (
    "name", "prediction", "likeliest", "probability", "second", "second_probability", "similarity", "nearest",
)  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """What a classifier of C classes predicts for N rows.

    Parameters
    ----------
    labels : ndarray of int64 (N,)
        Classes, as positions in the classifier's ``names``; −1 for none of them.
    probabilities : ndarray of float32 (N, C)
        Of each class if the row is of one of them; 0 for a class without labelled rows.
    similarity : ndarray of float32 (N,)
        Mean cosine with the nearest labelled rows of the likeliest class: what −1 is decided by.
    nearest : ndarray of int64 (N,)
        The most similar labelled row of all, as a position in the classifier's ``rows``.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    similarity: np.ndarray
    nearest: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def likeliest(self) -> np.ndarray:
        """The class of highest probability, also of rows that are none of them, int64 (N,)."""
        return self.probabilities.argmax(1)

    def lines(
        self, names: Sequence[str], classes: Sequence[str], labelled: Sequence[str], texts: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """One mapping of `COLUMNS` a row; a prediction of None is none of the classes.

        Parameters
        ----------
        names : sequence of str
            Of the N rows.
        classes, labelled : sequence of str
            ``names`` and ``rows`` of the classifier.
        texts : sequence of str, optional
            What the N rows say, where they are texts; ``text`` then stands after the name.
        """
        p, rows, first = self.probabilities, np.arange(len(self)), self.likeliest
        others = p.copy()
        others[rows, first] = -1  # below every probability
        second, lines = others.argmax(1), []
        for i in rows:
            likeliest = classes[first[i]]
            line = {"name": str(names[i])} | ({} if texts is None else {"text": texts[i]})
            lines.append(line | dict(zip(COLUMNS[1:], (
                likeliest if self.labels[i] >= 0 else None, likeliest, float(p[i, first[i]]), classes[second[i]],
                float(p[i, second[i]]), float(self.similarity[i]), labelled[self.nearest[i]],
            ), strict=True)))  # fmt: skip
        return lines

    def figures(self, truth: np.ndarray) -> dict[str, Any]:
        """How right they are.

        Parameters
        ----------
        truth : ndarray of int64 (N,)
            True classes, as positions in the classifier's ``names``; −1 where it is not known, −2 where it is none of
            these.

        Returns
        -------
        dict
            Over the rows of known classes: ``accuracy`` of the likeliest class, ``coverage``, the share that is not
            refused, and ``accuracy_kept`` of those, each with its ``…_interval``; ``calibration_error`` over 15 bins.
            ``strangers``: rows of unknown classes, and ``strangers_refused``.
        """
        known, unknown = truth >= 0, truth == -2
        kept, right = self.labels[known] >= 0, self.likeliest[known] == truth[known]
        figures: dict[str, Any] = {"rows": int(known.sum())}
        for name, hits, total in (
            ("accuracy", right.sum(), len(right)),
            ("coverage", kept.sum(), len(kept)),
            ("accuracy_kept", right[kept].sum(), kept.sum()),
        ):
            figures[name] = int(hits) / int(total) if total else None
            figures[f"{name}_interval"] = wilson(int(hits), int(total))
        # Rows that are refused count in the accuracy and the calibration too: refusing is measured by the coverage.
        confidence = self.probabilities[known].max(1, initial=0)
        figures["calibration_error"] = calibration_error(confidence, right) if len(right) else None
        refused = int((self.labels[unknown] < 0).sum())
        return figures | {"strangers": int(unknown.sum()), "strangers_refused": refused}


def checked_vectors(x: np.ndarray, dimensions: int) -> np.ndarray:
    """Vectors as a classifier takes them, float32 (N, dimensions); raises `DataError` where they are no such."""
    x = np.ascontiguousarray(x, np.float32)
    if x.ndim != 2 or x.shape[1] != dimensions:
        raise DataError(f"the classifier takes vectors of {dimensions} dimensions, these are {x.shape}.")
    if not np.isfinite(x).all():
        raise DataError("the vectors hold numbers that are not finite: the model is broken, or its input is.")
    return x


def write(path: str | Path, lines: Sequence[dict[str, Any]]) -> None:
    """`Predictions.lines` as a CSV file in UTF-8; None is an empty cell. Raises `StorageError`."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, lines[0] if lines else COLUMNS, lineterminator="\n")
    table.writeheader()
    for line in lines:
        table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in line.items()})
    files.write_text(path, text.getvalue())
