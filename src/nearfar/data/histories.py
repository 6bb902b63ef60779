"""Interactions of users with items, as histories: each user is a row, whose cell is what the user took, in order.

data/interactions.py makes them of a table. Some events may be left out of training, to be measured on: `LEAVE_OUT`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data.readers.raw import Picked

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TRAIN, VALIDATION, TEST = 0, 1, 2  # the parts of the interactions
SHARES = (0.8, 0.1, 0.1)  # of these parts where they are drawn or cut by time


@dataclass(frozen=True)
class Histories:
    """Who took what, users by rows: compressed sparse rows, each in the order of time.

    Parameters
    ----------
    users, items : sequence of str
        Names, U and I of them.
    indptr : ndarray of int64 (U + 1,)
        The events of user u are ``indptr[u]`` … ``indptr[u + 1]``.
    indices : ndarray of int32 (E,)
        Item of each event; none twice for a user.
    weight : ndarray of float32 (E,)
        The rating, or 1.
    time : ndarray of float64 (E,), optional
        NaN where it is not known; such events come first.
    part : ndarray of int8 (E,), optional
        `TRAIN`, `VALIDATION` or `TEST`; without it all are for training.
    content : mapping of str to list
        What is known of the items, by column: I cells each, None where nothing is.
    """

    users: Sequence[str]
    items: Sequence[str]
    indptr: np.ndarray
    indices: np.ndarray
    weight: np.ndarray
    time: np.ndarray | None = None
    part: np.ndarray | None = None
    content: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def owner(self) -> np.ndarray:
        """User of each event, int64 (E,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def of(self, *parts: int) -> Histories:
        """The same users with their events of these parts only."""
        if self.part is None:
            return self if TRAIN in parts else self.only(np.zeros(len(self.indices), bool))
        return self.only(np.isin(self.part, parts))

    def only(self, kept: np.ndarray) -> Histories:
        """The same users with some of their events: bool (E,)."""
        ends = np.concatenate([[0], np.cumsum(kept)])[self.indptr]
        return replace(self, indptr=ends.astype(np.int64), **self._events(kept))

    def rows(self, users: np.ndarray) -> Histories:
        """Some users, in this order."""
        users = np.asarray(users)
        counts = np.diff(self.indptr)[users]
        ends = np.concatenate([[0], np.cumsum(counts)])
        events = np.repeat(self.indptr[:-1][users] - ends[:-1], counts) + np.arange(ends[-1])
        return replace(self, users=[self.users[int(u)] for u in users], indptr=ends.astype(np.int64),
                       **self._events(events))  # fmt: skip

    def _events(self, chosen: np.ndarray) -> dict[str, np.ndarray | None]:
        arrays = {n: getattr(self, n) for n in ("indices", "weight", "time", "part")}
        return {n: None if a is None else a[chosen] for n, a in arrays.items()}

    def matrix(self, *, weighted: bool = False) -> csr_matrix:
        """Users by items, float32 (U, I): 1 where the user took the item, or the weight of that."""
        from scipy.sparse import csr_matrix

        values = self.weight if weighted else np.ones(len(self.indices), np.float32)
        made = csr_matrix((values, self.indices, self.indptr), shape=(len(self), len(self.items)))
        made.has_sorted_indices = False  # they are in the order of time
        return made

    def history(self, user: int) -> list[tuple[str, float, float | None]]:
        """Item, weight and time of a user's events."""
        own = slice(self.indptr[user], self.indptr[user + 1])
        times = [None] * len(self.indices[own]) if self.time is None else self.time[own].tolist()
        names = (self.items[i] for i in self.indices[own].tolist())
        return list(zip(names, self.weight[own].tolist(), times, strict=True))

    def titles(self) -> dict[str, str]:
        """What the items are called: the first column of texts among what is known of them."""
        cells = next((c for c in self.content.values() if any(isinstance(v, str) for v in c)), ())
        return {name: cell for name, cell in zip(self.items, cells, strict=False) if isinstance(cell, str)}

    def with_items(self, items: Sequence[str]) -> Histories:
        """The same with these items in this order; events of other items are left out."""
        number = {name: i for i, name in enumerate(items)}
        place = np.asarray([number.get(name, -1) for name in self.items], np.int32)
        moved = place[self.indices] if len(place) else self.indices
        content = {c: [None] * len(items) for c in self.content}
        for name, cells in self.content.items():
            for i in np.flatnonzero(place >= 0).tolist():
                content[name][place[i]] = cells[i]
        return replace(self, items=items, indices=moved, content=content).only(moved >= 0)


def of_lists(lists: Sequence[Sequence[Any]], items: Sequence[str], users: Sequence[str] | None = None) -> Histories:
    """Histories from Python: a list of names of items a user, oldest first; each may be (item, weight, time).

    Names that are none of `items` are left out; of an item that comes twice the last counts.
    """
    number, rows = {name: i for i, name in enumerate(items)}, []
    for events in lists:
        events = [e if isinstance(e, tuple) else (e,) for e in events]
        known = [(number[str(e[0])], *e[1:]) for e in events if str(e[0]) in number]
        rows.append(list({e[0]: e for e in reversed(known)}.values())[::-1])
    flat = [e for events in rows for e in events]
    timed = any(len(e) > 2 and e[2] is not None for e in flat)
    time = [float("nan") if len(e) < 3 or e[2] is None else e[2] for e in flat]
    return Histories(
        users or [f"history {i}" for i in range(1, len(rows) + 1)], items,
        np.cumsum([0, *map(len, rows)]).astype(np.int64), np.asarray([e[0] for e in flat], np.int32),
        np.asarray([e[1] if len(e) > 1 else 1 for e in flat], np.float32), np.asarray(time) if timed else None,
    )  # fmt: skip


@dataclass(frozen=True)
class HistoryCells(Sequence):
    """One cell a user: a list of (item, weight, time) of the events that are for training, oldest first."""

    histories: Histories

    def __post_init__(self) -> None:
        object.__setattr__(self, "_train", self.histories.of(TRAIN))

    @property
    def digest(self) -> str:
        """Hash of the events for training, which depend on how the others were left out."""
        made = hashlib.blake2b(digest_size=16)
        for array in (self._train.indptr, self._train.indices, self._train.weight):
            made.update(np.ascontiguousarray(array).view(np.uint8))
        return made.hexdigest()

    def __len__(self) -> int:
        return len(self.histories)

    def __getitem__(self, index: int) -> list[tuple[str, float, float | None]]:
        return self._train.history(range(len(self))[int(index)])


def histories_of(cells: Any) -> Histories | None:
    """The histories that cells hold, their rows in the order of the cells; None where they are something else."""
    if isinstance(cells, Picked):
        inner = histories_of(cells.cells)
        return None if inner is None else inner.rows(cells.rows)
    return cells.histories if isinstance(cells, HistoryCells) else None


# --- parts ---------------------------------------------------------------------------------------------------------


def at_random(histories: Histories, seed: int) -> np.ndarray:
    """Of every user a tenth for validation and a tenth for test, int8 (E,).

    As RecBole's random split by user (Zhao et al. 2021, arXiv 2011.01731): shares are rounded down, a share below one
    takes one all the same while more than one is left for training, the test's first.
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(histories.indices)), histories.owner))
    counts = np.diff(histories.indptr)
    held = np.floor(np.asarray(SHARES[1:])[:, None] * counts).astype(np.int64)
    train = counts - held.sum(0)
    for i in (1, 0):  # test, then validation
        more = (train > 1) & (held[i] == 0) & (counts > 0)
        held[i] += more
        train -= more
    part = np.empty(len(order), np.int8)
    part[order] = _in_turn(histories, train, held[0])
    return part


def last_of_each(histories: Histories, seed: int = 0) -> np.ndarray:
    """Of every user the last event for test, and the one before for validation, int8 (E,).

    A user of two events has one for training and one for test, a user of one has it for training.
    """
    counts = np.diff(histories.indptr)
    left = np.minimum(2, np.maximum(counts - 1, 0))
    return _in_turn(histories, counts - left, np.maximum(left - 1, 0))


def after_a_time(histories: Histories, seed: int = 0) -> np.ndarray:
    """The latest tenth of all events for test, the tenth before for validation, int8 (E,); equal times stay together.

    Users who come later have no history in training.
    """
    time = np.nan_to_num(histories.time, nan=-np.inf)
    first, second = np.quantile(time, (SHARES[0], SHARES[0] + SHARES[1]), method="higher")
    return ((time >= first).astype(np.int8) + (time >= second)).astype(np.int8)


def _in_turn(histories: Histories, train: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """Parts of events that stand user by user: so many for training, then for validation, then for test."""
    owner = histories.owner
    place = np.arange(len(owner)) - histories.indptr[:-1][owner]
    return (place >= train[owner]).astype(np.int8) + (place >= (train + validation)[owner]).astype(np.int8)


LEAVE_OUT = {"random": at_random, "last": last_of_each, "time": after_a_time}
