"""Which rows are trained on, watched, and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfar.data.groups import belong_together, together, whole
from nearfar.data.table import Table
from nearfar.errors import DataError, UnknownName

LEAST = 20  # rows set aside by a training that are enough to be the test rows


@dataclass(frozen=True)
class SplitPlan:
    """Row numbers: trained on; held out of training to be watched; and what to say about it."""

    train: np.ndarray
    heldout: np.ndarray
    notes: tuple[str, ...]


def plan(
    table: Table, *, train_split: str | None = None, test_split: str | None = None, holdout: float = 0.1, seed: int = 0
) -> SplitPlan:
    """Rows for a training.

    The split named ``train`` where there are splits; the rest is never looked at. Its held-out rows, for watching
    only, are a share of the train split that is *also* trained on where labels are not, so nothing is lost: see
    Notes. Without splits, `holdout` of the rows are set aside by content hash, so equal rows stay on one side.

    Raises
    ------
    DataError, UnknownName
        There are no rows to train on, or no split of that name.
    """
    if table.splits:
        name = train_split or "train"
        train = _split(table, name)
        if "validation" in table.splits and name != "validation" and test_split != "validation":
            watched, about = table.splits["validation"], "the validation split is watched"
            notes = (f"Rows: {len(train):,} of the split {name!r}; {about}.",)
        else:
            train, watched = _by_hash(table, train, min(holdout, 0.02 if len(train) > 20_000 else 0.05))
            notes = (f"Rows: {len(train):,} of the split {name!r}, {len(watched):,} more of it only watched.",)
        return SplitPlan(train, watched, notes)
    train, watched = _by_hash(table, np.arange(len(table)), holdout)
    if holdout and len(watched):
        by = "content" if table.groups is None else "whole groups"
        note = f"Rows: {len(train):,}; {len(watched):,} more set aside by {by}, not trained on (data.holdout)."
    else:
        note = f"Rows: {len(train):,}, all trained on; figures on them are transductive."
    return SplitPlan(train, watched, (note,))


def _split(table: Table, name: str) -> np.ndarray:
    if name not in table.splits:
        raise UnknownName("split", name, table.splits)
    return table.splits[name]


def _by_hash(table: Table, rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose content hash falls into the last `share` of its range are set aside.

    Rows of several columns that are connected by equal items, such as one picture's captions, have one hash together,
    the sum of their different ones; those that are more than `share` of all rows are trained on. Where rows have
    groups, see `by_order`.
    """
    if share <= 0 or len(rows) < 40:
        return rows, rows[:0]
    if table.groups is not None:
        return by_order(table, rows, share)
    hashes = table.hashes[rows]
    if belong_together(table):
        group = together(table, rows)
        total = _marks(table, rows, group)
        total[np.bincount(group) > share * len(rows)] = 0
        hashes = total[group]
    aside = (hashes >> np.uint64(32)).astype(np.float64) / 2**32 >= 1 - share
    return rows[~aside], rows[aside]


def by_order(table: Table, rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay, and about `share` of them that are held out: whole groups in the order of their hashes."""
    group = together(table, rows)
    order = np.argsort(_marks(table, rows, group), kind="stable")[::-1]
    aside = whole(group, np.zeros(len(rows), np.int64), [share * len(rows)], order.tolist())
    return rows[~aside], rows[aside]


def _marks(table: Table, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """A hash of every group of `together`: the sum of its different groups, and contents of rows without one."""
    marks = table.hashes[rows]
    if table.groups is not None:
        named = table.groups[rows]
        marks = np.where(named >= 0, named.astype(np.uint64) << np.uint64(1), marks)
    pairs = np.unique(np.stack([group.astype(np.uint64), marks], 1), axis=0)
    total = np.zeros(int(group.max(initial=-1)) + 1, np.uint64)
    np.add.at(total, pairs[:, 0].astype(np.int64), pairs[:, 1])
    return total


@dataclass(frozen=True)
class EvaluationPlan:
    """Row numbers that probes and galleries are fitted on, and those that are scored."""

    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def evaluation_plan(
    table: Table, *, train_split: str | None = None, test_split: str | None = None, share: float = 0.2, seed: int = 0,
    aside: float = 0.0,
) -> EvaluationPlan:  # fmt: skip
    """Rows for a measurement: the splits train and test, or a stratified `share` drawn by `seed` as the test rows.

    Where there is no test split, the validation split serves. Where there are no splits at all, and the model was
    trained on these rows with a share `aside` of them set aside, those are the test rows, if they are `LEAST` or more.

    Raises
    ------
    DataError, UnknownName
        There are too few labelled rows, or no split of that name.
    """
    if table.splits:
        name = test_split or (
            "test" if "test" in table.splits else "validation" if "validation" in table.splits else None
        )
        if name is not None:
            train, test = _split(table, train_split or "train"), _split(table, name)
            return EvaluationPlan(train, test, (f"fitted on the train split, scored on the split {name!r}",))
    elif aside:
        train, test = _by_hash(table, np.arange(len(table)), aside)
        if len(test) >= LEAST:
            note = "no test split: scored on the rows that training set aside (data.holdout)"
            return EvaluationPlan(train, test, (note,))
    rows = table.splits.get("train", np.arange(len(table))) if table.splits else np.arange(len(table))
    chosen = _stratified(table, rows, share, seed)
    if not chosen.any():
        if table.groups is not None:
            raise DataError(
                "no group can be held out to measure on: every class must have rows in two groups or more.",
                hint="Bring a test split of other groups, or name another --group.",
            )
        raise DataError(f"{len(rows)} rows are too few to measure anything on.")
    groups = ", by whole groups" if table.groups is not None else ""
    note = f"no test split: stratified {1 - share:.0%}/{share:.0%}{groups}, seed {seed}"
    return EvaluationPlan(rows[~chosen], rows[chosen], (note,))


def _stratified(table: Table, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows are drawn: about `share` of every class, rows that belong together together, bool (M,)."""
    labels = np.zeros(len(rows), np.int64) if table.labels is None else table.labels[rows]
    _, y = np.unique(labels, return_inverse=True)
    group, generator = together(table, rows), np.random.default_rng(seed)
    first = y[np.unique(group, return_index=True)[1]]  # the class of each group's first row
    order = [generator.permutation(np.flatnonzero(first == c)) for c in range(int(y.max(initial=-1)) + 1)]
    target = [round(share * n) for n in np.bincount(y).tolist()]
    return whole(group, y, target, np.concatenate([*order, rows[:0]]).tolist(), each=True)


def duplicates(table: Table, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Test rows whose content is also among the train rows."""
    return test[np.isin(table.hashes[test], table.hashes[train])]
