"""Which rows are trained on, watched, and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfar.core.errors import DataError, UnknownName
from nearfar.data.groups import belong_together, together, whole
from nearfar.data.table import Table

LEAST = 20  # rows held out by a training that are enough to be the test rows


@dataclass(frozen=True)
class SplitPlan:
    """Row numbers: trained on; held out of training to be watched; and what to say about it."""

    train: np.ndarray
    heldout: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EvaluationPlan:
    """Row numbers that probes and galleries are fitted on, and those that are scored."""

    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def plan(
    table: Table, *, train_split: str | None = None, test_split: str | None = None, holdout: float = 0.1
) -> SplitPlan:
    """Rows for a training.

    The split named ``train`` where there are splits; the rest is never looked at but the validation split, which is
    watched. Without that a small share of the train split is held out, and without splits `holdout` of all rows: by
    content hash, so that equal rows stay on one side.

    Raises an `UnknownName` where there is no split of that name.
    """
    if not table.splits:
        train, watched = _by_hash(table, np.arange(len(table)), holdout)
        by = "content" if table.groups is None else "whole groups"
        note = f"Rows: {len(train):,}, all trained on; figures on them are transductive."
        if len(watched):
            note = f"Rows: {len(train):,}; {len(watched):,} more held out by {by}, not trained on (data.holdout)."
        return SplitPlan(train, watched, (note,))
    name = train_split or "train"
    if name not in table.splits:
        raise UnknownName("split", name, table.splits)
    train = table.splits[name]
    if "validation" in table.splits and "validation" not in (name, test_split):
        watched, about = table.splits["validation"], "the validation split is watched"
    else:
        train, watched = _by_hash(table, train, min(holdout, 0.02 if len(train) > 20_000 else 0.05))
        about = f"{len(watched):,} more of it are held out and watched"
    return SplitPlan(train, watched, (f"Rows: {len(train):,} of the split {name!r}; {about}.",))


def _by_hash(table: Table, rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose content hash falls into the last `share` of its range are held out.

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
    # By content and not by place, so that more rows, or others in between, leave each row where it is.
    out = (hashes >> np.uint64(32)).astype(np.float64) / 2**32 >= 1 - share
    return rows[~out], rows[out]


def by_order(table: Table, rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay, and about `share` of them that are held out: whole groups in the order of their hashes."""
    group = together(table, rows)
    order = np.argsort(_marks(table, rows, group), kind="stable")[::-1]
    out = whole(group, np.zeros(len(rows), np.int64), [share * len(rows)], order.tolist())
    return rows[~out], rows[out]


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


def evaluation_plan(
    table: Table, *, fits: bool = True, train_split: str | None = None, test_split: str | None = None,
    share: float = 0.2, seed: int = 0, seen: np.ndarray | None = None,
) -> EvaluationPlan:  # fmt: skip
    """Rows for a measurement.

    Where there is a test split (or else a validation split) its rows are scored. Else, of the train split or of all
    rows, those are scored that no model was trained on, if they are `LEAST` or more: all of them where nothing is
    fitted, else a stratified `share` drawn by `seed`, or all if they are no more than half. `fits` says whether
    something is fitted, for which rows have to be held back; `seen` (N,) whether a model was trained on each row.

    Raises a `DataError` or `UnknownName` where there are too few labelled rows, or no split of that name.
    """
    for where, name in (("--train-split", train_split), ("--test-split", test_split)):
        if name is not None and name not in table.splits:
            raise UnknownName("split", name, table.splits, where=where)
    fit_on = train_split or "train"
    scored = test_split or next((s for s in ("test", "validation") if s in table.splits and s != train_split), None)
    fitted = table.splits.get(fit_on, np.arange(0))
    if scored is None:
        rows = fitted if fit_on in table.splits else np.arange(len(table))
        return _unsplit(table, rows, np.zeros(len(table), bool) if seen is None else seen, fits, share, seed)
    rows = table.splits[scored]
    if not len(rows):
        raise DataError(f"the split {scored!r} has no rows that can be read.", hint="Name another with --test-split.")
    if fit_on != scored and (len(fitted) or not fits):
        note = f"fitted on the split {fit_on!r}, scored on the split {scored!r}"
        return EvaluationPlan(fitted, rows, (note if fits else f"scored on the split {scored!r}",))
    if not fits:
        return EvaluationPlan(rows[:0], rows, (f"scored on the split {scored!r}",))
    chosen, drawn = _stratified(table, rows, np.ones(len(rows), bool), share, seed)
    note = f"no other split to fit on: the split {scored!r} is divided, {drawn}"
    return EvaluationPlan(rows[~chosen], rows[chosen], (note,))


def _unsplit(table: Table, rows: np.ndarray, seen: np.ndarray, fits: bool, share: float, seed: int) -> EvaluationPlan:
    """The plan for rows without a test split."""
    group = together(table, rows)
    new = ~np.isin(group, group[seen[rows]])
    some = ", scored on rows that no model was trained on"
    if new.sum() < LEAST or new.all():
        new, some = np.ones(len(rows), bool), ""
    if not fits or new.sum() <= len(rows) / 2:
        how = some if fits else some or ", scored on all rows"
        return EvaluationPlan(rows[~new], rows[new], (f"no test split{how}",))
    chosen, drawn = _stratified(table, rows, new, share, seed)
    return EvaluationPlan(rows[~chosen], rows[chosen], (f"no test split: {drawn}{some}",))


def _stratified(table: Table, rows: np.ndarray, free: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, str]:
    """Which rows are drawn, and how: about `share` of every class, rows that belong together together, of `free` ones.

    Raises a `DataError` where there are none.
    """
    labels = np.zeros(len(rows), np.int64) if table.labels is None else table.labels[rows]
    _, y = np.unique(labels, return_inverse=True)
    group, generator = together(table, rows), np.random.default_rng(seed)
    first = y[np.unique(group, return_index=True)[1]]  # the class of each group's first row
    order = [generator.permutation(np.flatnonzero(first == c)) for c in range(int(y.max(initial=-1)) + 1)]
    order = np.concatenate([*order, rows[:0]])
    target = [round(share * n) for n in np.bincount(y).tolist()]
    chosen = whole(group, y, target, order[~np.isin(order, group[~free])].tolist(), each=True)
    if not chosen.any() and table.groups is not None:
        raise DataError(
            "no group can be held out to measure on: every class must have rows in two groups or more.",
            hint="Bring a test split of other groups, or name another --group.",
        )
    if not chosen.any():
        each, some = (f" of {len(target):,} classes", "each") if len(target) > 1 else ("", "these")
        raise DataError(
            f"{len(rows):,} rows{each} are too few to measure anything on: {share:.0%} of {some} is no whole row.",
            hint="Name a test split, or bring more rows.",
        )
    by_groups = ", by whole groups" if table.groups is not None else ""
    return chosen, f"stratified {1 - share:.0%}/{share:.0%}{by_groups}, seed {seed}"


def duplicates(table: Table, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Test rows whose content is also among the train rows."""
    return test[np.isin(table.hashes[test], table.hashes[train])]
