"""Both ways between the sides of pairs: what is asked, among what, and which answers are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Sides
from nearfar.vectors.basics import check_finite, unit

CELLS = 2000 * 2000  # cosines held at once


class Tile(NamedTuple):
    """Some queries against the whole gallery."""

    queries: slice
    pairs: slice  # which of the right answers are theirs
    scores: np.ndarray  # float32 (queries, G), free to be written over
    owner: np.ndarray  # int64 (pairs,), counted within the tile
    answer: np.ndarray  # int64 (pairs,)


@dataclass(frozen=True)
class Way:
    """Questions of one side to the other, as unit vectors of the distinct items of each."""

    queries: np.ndarray  # float32 (Q, D), those that have a right answer
    asked: np.ndarray  # int64 (Q,), their numbers among all items of their side, which are the way back's gallery
    gallery: np.ndarray  # float32 (G, D), the items of the other side, then the distractors
    owner: np.ndarray  # int64 (P,), query of each right answer, ascending
    answer: np.ndarray  # int64 (P,), its row in the gallery
    distractors: int
    names: tuple[str, str]  # the column that asks, and the one that answers

    @property
    def right(self) -> np.ndarray:
        """Number of right answers of each query, int64 (Q,), at least 1."""
        return np.bincount(self.owner, minlength=len(self.queries))

    def tiles(self) -> Iterator[Tile]:
        """All queries, a few at a time."""
        for part, scores in products(self.queries, self.gallery):
            pairs = slice(*np.searchsorted(self.owner, (part.start, part.stop)))
            yield Tile(part, pairs, scores, self.owner[pairs] - part.start, self.answer[pairs])

    def about(self) -> dict[str, object]:
        """What stands beside every figure."""
        return {
            "from": self.names[0], "to": self.names[1], "metric": "cosine", "queries": len(self.queries),
            "gallery": len(self.gallery), "distractors": self.distractors, "right answers": len(self.owner),
        }  # fmt: skip


def products(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Inner products of rows of x (N, D) with all rows of y (M, D), never more than `CELLS` of them (or one row)."""
    step = max(1, CELLS // max(1, len(y)))
    for start in range(0, len(x), step):
        part = slice(start, min(start + step, len(x)))
        yield part, x[part] @ y.T


def both(
    sides: Sides, distractors: np.ndarray | None = None, left_distractors: np.ndarray | None = None
) -> dict[str, Way]:
    """The way from left to right and the way back.

    An answer is right if it stands in some row with the query, or in some row with an item of the query's content:
    equal captions are one item with several right pictures. Where the rows have labels, only those of label 1 make
    right answers, and the items of the others still stand in the gallery.

    Parameters
    ----------
    sides : Sides
    distractors, left_distractors : ndarray (M, D), optional
        Further vectors of the right-hand and of the left-hand gallery, which are never right. That they repeat no item
        is for the caller to see to.

    Returns
    -------
    dict
        ``left_to_right`` and ``right_to_left``.

    Raises
    ------
    DataError
        A distractor is not finite or of another width, or no row is labelled 1.
    """
    left, l = _distinct(sides.left, sides.left_id)
    right, r = _distinct(sides.right, sides.right_id)
    together = np.ones(len(l), bool) if sides.label is None else sides.label == 1
    if not together.any():
        raise DataError(f"no pair that is scored has the label {sides.positive!r}, so no answer would be right.")
    l, r = l[together], r[together]
    a, b = sides.names
    return {
        "left_to_right": _way(left, right, l, r, distractors, (a, b)),
        "right_to_left": _way(right, left, r, l, left_distractors, (b, a)),
    }


def _distinct(x: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the distinct items, by id, each from its first row; and the item of each row."""
    _, first, item = np.unique(ids, return_index=True, return_inverse=True)
    return unit(x[first]).astype(np.float32), item.reshape(-1)


def _way(
    asking: np.ndarray, answering: np.ndarray, query: np.ndarray, answer: np.ndarray, more: np.ndarray | None,
    names: tuple[str, str],
) -> Way:  # fmt: skip
    pairs = np.unique(query * len(answering) + answer)
    asked, owner = np.unique(pairs // len(answering), return_inverse=True)
    answer = pairs % len(answering)
    if more is not None:
        if more.ndim != 2 or more.shape[1] != answering.shape[1]:
            raise DataError(f"the distractors' shape is {more.shape}, that of the vectors {answering.shape}.")
        check_finite(more, f"{names[1]} (distractors)")
        answering = np.concatenate([answering, unit(more).astype(np.float32)])
    extra = 0 if more is None else len(more)
    return Way(asking[asked], asked, answering, owner.reshape(-1), answer, extra, names)
