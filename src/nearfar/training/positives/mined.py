"""Rows stay alone, and each gets hard negatives: what a trained model finds nearest among what is not its own."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.training.positives import Context, Encode, own, whole
from nearfar.training.positives.by_model import ByModel
from nearfar.vectors.basics import unit
from nearfar.vectors.neighbours import search

LOOKED_AT = 32  # nearest cells of which those are taken that are no positives, as far as is known
MOST = 0.95  # of the similarity of the row's own sides


def build(context: Context, argument: str, most: float = MOST) -> Mined:
    """Hard negatives by an existing run, found once, before the first step.

    Parameters
    ----------
    argument : str
        ``RUN`` or ``RUN:4``: four of each row.
    most : float
        A cell that is more similar to the row than this share of the similarity of the row's own two sides is left
        out: it may well belong to it ("TopK-PercPos" of de Souza P. Moreira et al. 2024, arXiv 2407.15831).
    """
    run, colon, last = argument.rpartition(":")
    counted = colon and last.isdecimal()
    run, count = (run, whole(last, "the number after the last colon", 1)) if counted else (argument, 1)
    if not run:
        hint = "For example --positives mined:runs/first:4."
        raise ConfigError("the run that mines is not named.", where="model.positives", hint=hint)
    if not 0 < most <= 1:
        raise ConfigError(f"most is {most}; it must be above 0 and at most 1.", where="model.positives_options")
    mined = Mined(context, run, count, most)
    if len(context.rows) <= count:
        raise DataError(f"{len(context.rows):,} rows to train on are too few for {count} hard negatives of each.")
    return mined


class Mined(ByModel):
    """Hard negatives of every row, by the model of a run: the nearest cells of the last column that are not its own.

    Cells equal to the row's own, cells of rows with the same label, and cells nearly as near as the row's own are left
    out. Where fewer than K of `LOOKED_AT` are left, the farthest of these stand in for the rest, unless they are the
    row's own.
    """

    changing: ClassVar = {"negatives": np.int64}

    def __init__(self, context: Context, run: str, count: int, most: float) -> None:
        many = f"{count} hard negatives of each row are" if count > 1 else "a hard negative of each row is"
        super().__init__(context, run, f"Negatives: {many} mined by {run}, once.")
        self.count, self.most = count, most

    def check(self) -> None:
        model, columns = self.model(), list(self.context.table.columns.values())
        for side in (0, -1):
            self.column_of(model, columns[side])

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows, columns, labels = self.context.rows, list(self.context.table.columns.values()), self.context.labels
        model = self.model()
        left, right = (unit(self.vectors(model, columns[side], rows)) for side in (0, -1))
        same = [c.hashes[rows] for c in (columns[0], columns[-1]) if c.hashes is not None]
        if labels is not None:
            same.append(np.where(labels[rows] < 0, -1 - np.arange(len(rows)), labels[rows]))
        nearest, similar = hardest(left, right, self.count, self.most, same)
        self.negatives = np.repeat(own(len(self.groups))[:, None], self.count, axis=1)
        self.negatives[rows] = rows[nearest]
        return {"mined": float(similar.mean())}


def hardest(
    left: np.ndarray, right: np.ndarray, count: int, most: float, same: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest right sides of each left one that are no positives.

    Parameters
    ----------
    left, right : ndarray (N, D)
        Unit vectors; row i of both belongs together.
    most : float
        Share of the similarity of the row's own sides from which on a cell is left out.
    same : list of ndarray (N,)
        Rows that are equal in one of these are positives.

    Returns
    -------
    rows : ndarray of int64 (N, count)
    similarity : ndarray of float32 (N,)
        Of each row's first one.
    """
    looked = min(len(right), LOOKED_AT + count)
    rank = np.arange(looked)
    scores, rows = search(left, right, looked)
    positive = rows == np.arange(len(left))[:, None]
    for kind in same:
        positive |= kind[rows] == kind[:, None]
    near = scores > most * (left * right).sum(1)[:, None]
    # First what may be taken, nearest first; then what is too near, farthest first; what is a positive last.
    order = np.argsort(np.where(positive, 2 * looked, np.where(near, 2 * looked - 1 - rank, rank)), 1)[:, :count]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order[:, :1], 1)[:, 0]
