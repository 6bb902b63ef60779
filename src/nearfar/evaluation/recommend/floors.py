"""Floors of recommenders: each is fitted on histories and scores all items for a user.

U users, I items, E events; B users are scored at once.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from nearfar.data.histories import Histories
from nearfar.data.item_content import features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST = 10_000  # rows of the square matrix that EASE inverts: 400 MB, and about a minute
PART = 1024  # rows of a dense product that are kept at once


class Popularity:
    """How many users took the item."""

    name = "popularity"

    def __init__(self, train: Histories) -> None:
        self.taken = np.bincount(train.indices, minlength=len(train.items)).astype(np.float32)

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        return np.tile(self.taken, (len(histories), 1))


class Chance:
    """A random order of the items for each user, the same every time."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        shape = len(histories), len(histories.items)
        return np.random.default_rng((self.seed, *shape)).random(shape, np.float32)


class ItemNeighbours:
    """The sum of cosines between an item and those of the history, of its nearest items alone (Sarwar et al. 2001).

    Parameters
    ----------
    train : Histories
    neighbours : int
        So many items of the histories that are nearest to an item count for its score.
    shrink : float
        Is added to the product of the norms, so that cosines of rarely taken items count less.
    """

    name = "item-kNN"

    def __init__(self, train: Histories, neighbours: int = 100, shrink: float = 0.0) -> None:
        from scipy.sparse import vstack

        x = train.matrix()
        by_item, norms = x.T.tocsr(), np.sqrt(np.asarray(x.multiply(x).sum(0))).reshape(-1)
        rows = []
        for start in range(0, x.shape[1], PART):
            part = (by_item[start : start + PART] @ x).tocsr()
            own = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)) + start
            part.data /= norms[own] * norms[part.indices] + shrink
            part.data[own == part.indices] = 0
            rows.append(_largest(part, neighbours))
        self.near: csr_matrix = vstack(rows, format="csr").T.tocsr()

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        return (histories.matrix() @ self.near).toarray()


def _largest(matrix: csr_matrix, count: int) -> csr_matrix:
    """The largest `count` values of each row."""
    from scipy.sparse import csr_matrix

    kept = [
        np.arange(a, b) if b - a <= count else a + np.argpartition(matrix.data[a:b], -count)[-count:]
        for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    ]
    ends = np.cumsum([0, *map(len, kept)])
    events = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return csr_matrix((matrix.data[events], matrix.indices[events], ends), shape=matrix.shape)


class Transitions:
    """How often an item came after those at the end of the history: with one step a Markov chain of first order.

    Parameters
    ----------
    train : Histories
        In the order of time.
    steps : int
        An item that comes n steps after another counts 1/n, up to so many.
    last : int
        So many of the newest events of a history count, the newest 1, the one before 1/2, and so on.
    """

    def __init__(self, train: Histories, steps: int = 1, last: int = 5) -> None:
        from scipy.sparse import csr_matrix

        self.name = "Markov chain" if steps == 1 else f"transitions within {steps} steps"
        items, owner = len(train.items), train.owner
        self.counts = csr_matrix((items, items), dtype=np.float32)
        for step in range(1, steps + 1):
            same = owner[step:] == owner[:-step]
            pairs = train.indices[:-step][same], train.indices[step:][same]
            self.counts += csr_matrix((np.full(same.sum(), 1 / step, np.float32), pairs), (items, items))
        self.last = last

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        age = ages(histories)
        return (weighted(histories, np.where(age < self.last, 1 / (age + 1), 0)) @ self.counts).toarray()


class Ease:
    """The linear model of items from other items that fits the histories best (Steck 2019, arXiv 1905.03375).

    ``B = I − P / diag(P)`` with ``P = (XᵀX + λI)⁻¹``, solved on the smaller of the two sides: where there are fewer
    users than items, by ``X P = (XXᵀ + λI)⁻¹ X``. Where both are more than `MOST`, it knows the most
    popular items alone.

    Parameters
    ----------
    train : Histories
    penalty : float
        λ.
    content : csr matrix (F, I), optional
        Further rows of X: what is known of the items.
    """

    def __init__(self, train: Histories, penalty: float = 150.0, content: csr_matrix | None = None) -> None:
        from scipy.linalg import cho_factor, cho_solve
        from scipy.sparse import vstack

        x = train.matrix() if content is None else vstack([train.matrix(), content], format="csr")
        self.kept = np.arange(x.shape[1])
        if min(x.shape) > MOST:
            self.kept = np.sort(np.argsort(-np.asarray(x.sum(0)).reshape(-1), kind="stable")[:MOST])
            x = x[:, self.kept]
        self.name = "EASE" if content is None else "EASE with content"
        self.name += f" of {MOST:,} items" if len(self.kept) < len(train.items) else ""
        self.decay, self.dual = 0.0, x.shape[0] < x.shape[1]
        gram = np.asarray((x @ x.T if self.dual else x.T @ x).todense(), np.float32)
        gram[np.diag_indices_from(gram)] += penalty
        inverse = cho_solve(cho_factor(gram, lower=True, overwrite_a=True), np.eye(len(gram), dtype=np.float32))
        if self.dual:
            self.x, self.solved = x, inverse @ x  # x P = (x − x Xᵀ solved) / λ
            explained = np.asarray(x.multiply(self.solved).sum(0)).reshape(-1)
            self.own = np.maximum(1 - explained, 1e-6).astype(np.float32)  # λ diag(P)
        else:
            self.weights = -inverse / np.diag(inverse)
            np.fill_diagonal(self.weights, 0)

    def recent(self, decay: float) -> Ease:
        """The same, where the weight of an event of the history that is scored falls by its age: exp(−age × decay)."""
        other = copy(self)
        other.name, other.decay = f"{self.name} with recency", decay
        return other

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        x = weighted(histories, np.exp(-self.decay * ages(histories)))[:, self.kept]
        if self.dual:
            own = np.asarray(x.todense())
            found = own - (own - np.asarray((x @ self.x.T) @ self.solved)) / self.own
        else:
            found = np.asarray(x @ self.weights)
        if len(self.kept) == len(histories.items):
            return found
        whole = np.zeros((len(histories), len(histories.items)), np.float32)
        whole[:, self.kept] = found
        return whole


class ContentRidge:
    """Ridge regression of each user's history on what is known of the items: the floor of items that nobody took.

    The features of an item are those of `nearfar.data.item_content.features`. A score is linear in the history
    (Hoerl and Kennard 1970): ``s = x F (FᵀF + λI)⁻¹ F_allᵀ``, where F holds the items that were taken in training.

    Parameters
    ----------
    train : Histories
        With content.
    penalty : float
        λ.
    """

    name = "regression on content"

    def __init__(self, train: Histories, penalty: float = 30.0) -> None:
        from scipy.sparse import csr_matrix

        known = features(train.content)
        item, place = np.nonzero(known)
        ones = np.ones(len(item), np.float32)
        every = csr_matrix((ones, (item, known[item, place])), (len(known), int(known.max(initial=0)) + 1))
        self.taken = np.bincount(train.indices, minlength=len(known)) > 0
        own = every[self.taken]
        gram = np.asarray((own.T @ own).todense(), np.float64) + penalty * np.eye(every.shape[1])
        self.own, self.solved = own, np.linalg.solve(gram, np.asarray(every.T.todense(), np.float64)).astype(np.float32)

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I)."""
        return np.asarray((histories.matrix()[:, self.taken] @ self.own) @ self.solved)


def ages(histories: Histories) -> np.ndarray:
    """How many events of the same user are newer, int64 (E,)."""
    return histories.indptr[1:][histories.owner] - 1 - np.arange(len(histories.indices))


def weighted(histories: Histories, weights: np.ndarray) -> csr_matrix:
    """Users by items, float32 (B, I), with a weight for each event."""
    made = histories.matrix()
    made.data = weights.astype(np.float32)
    return made


def content_rows(histories: Histories) -> csr_matrix | None:
    """What is known of the items as rows of 0 and 1, float32 (F, I): a row for each value that several items share.

    A cell may hold several values, as a list or with ``|`` between them. Columns most of whose values are of one item
    alone, such as titles, say nothing of what is alike and are left out; None where no column is left.
    """
    from scipy.sparse import csr_matrix

    rows: list[int] = []
    columns: list[int] = []
    count = 0
    for cells in histories.content.values():
        values = [[str(v).strip() for v in (c if isinstance(c, list | tuple) else str(c).split("|"))]
                  if c is not None and c == c else [] for c in cells]  # fmt: skip
        often = Counter(v for some in values for v in dict.fromkeys(some) if v)
        if 2 * sum(n == 1 for n in often.values()) > len(often):
            continue
        number = {v: i for i, v in enumerate(often)}
        for item, some in enumerate(values):
            places = [count + number[v] for v in dict.fromkeys(some) if v]
            rows += places
            columns += [item] * len(places)
        count += len(number)
    if not count:
        return None
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (count, len(histories.items)))
