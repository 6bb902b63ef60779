"""Rows of one group, such as the pictures of one patient or the frames of one clip, are never on two sides of a split.

A group is a whole number: the hash of what its cell or name says, so that groups of two tables can be compared; rows
without one have negative numbers, each its own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.data.columns import Findings, check, encoded
from nearfar.data.duplicates import equal
from nearfar.data.readers.parquet import LazyColumn
from nearfar.data.readers.raw import Cells, Chain, Raw
from nearfar.data.table import Table

WHERE, FROM = "--group", "--group-from"
TABLE = re.compile(r":\d+$|^row \d+$")  # what rows of a file are called
GLUED = 0.5  # share of the rows from which on what equal rows glue together is no group any more


# --- reading ------------------------------------------------------------------------------------------------------


def take(
    raw: Raw, column: str | None, pattern: str | None, notes: Findings, splits: Mapping[str, np.ndarray],
    kept: Sequence[str | None] = (), label: str | None = None,
) -> np.ndarray | None:  # fmt: skip
    """Group of each row, int64 (N,); None where neither a column nor a pattern was named.

    The column is taken out of `raw`, unless it is one of `kept`, which are read for something else as well. What a
    pattern finds in each row's name (`names`) names the group. Groups that lie in several of the `splits`, which come
    with the data, are warned of.
    """
    if column is None and pattern is None:
        return None
    if column is not None and pattern is not None:
        raise ConfigError(f"name the groups with {WHERE} or with {FROM}, not with both.", where=FROM)
    if column is not None and column == label:
        raise ConfigError(f"the column {column!r} holds the labels, and rows of one class must lie on both sides.",
                          where=WHERE)  # fmt: skip
    if column is not None:
        said, about = _of_column(raw, column, kept), f"the column {column!r}"
    else:
        said, about = _of_names(raw, str(pattern), kept), f"names that {pattern!r} is found in"
    groups = numbered(said)
    named = groups[groups >= 0]
    rest = len(groups) - len(named)
    alone = f"; {rest:,} rows without one are each their own" if rest else ""
    notes.append(f"Groups: {len(named):,} rows in {len(np.unique(named)):,} groups by {about}{alone}.")
    for text in cut(groups, splits):
        notes.warn(text)
    return groups


def numbered(said: Sequence[str | None]) -> np.ndarray:
    """A number for each text, int64 (N,): equal and not negative for equal texts, −1 − i for a row i without one."""
    number = {}
    for text in set(said) - {None}:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        number[text] = int.from_bytes(digest, "big") >> 1
    return np.asarray([-1 - i if t is None else number[t] for i, t in enumerate(said)], np.int64)


def _of_column(raw: Raw, column: str, kept: Sequence[str | None]) -> list[str | None]:
    check(raw, column, WHERE)
    cells = raw.columns[column] if column in kept else raw.columns.pop(column)
    if isinstance(cells, np.ndarray) and cells.ndim > 1:
        raise DataError(f"the column {column!r} holds arrays, and a group is a word or a number.", where=WHERE)
    number, names = encoded(cells, raw.classes.get(column), column, Findings())
    return [None if i < 0 else names[i] for i in number.tolist()]


def _of_names(raw: Raw, pattern: str, wanted: Sequence[str | None]) -> list[str | None]:
    try:
        re.compile(pattern)
    except re.error as e:
        raise ConfigError(f"{pattern!r} is not a valid regular expression ({e}).", where=FROM) from e
    called = names(raw, wanted)
    said = found_in(called, pattern)
    if not any(said):
        raise DataError(f"{pattern!r} is found in no name, such as {called[0]!r}.", where=FROM,
                        hint="It is looked for anywhere in the name; ^ and $ are its ends.")  # fmt: skip
    return said


def found_in(called: Sequence[str], pattern: str) -> list[str | None]:
    """What a pattern's first group in parentheses, or all of it, matched in each name; None where it is not found."""
    expression = re.compile(pattern)
    matches = map(expression.search, called)
    return [None if m is None else (m[1] if expression.groups else m[0]) or None for m in matches]


def names(raw: Raw, wanted: Sequence[str | None] = ()) -> Sequence[str]:
    """What each row is called: the path of its picture where a column holds paths, else where the row is.

    Of several columns of paths it is one of the `wanted`, which are embedded.
    """
    if len(raw) and not TABLE.search(raw.names[0]):
        return raw.names  # rows are files
    columns = (raw.columns[c] for c in (*wanted, *raw.columns) if c in raw.columns)
    return next((paths for cells in columns if (paths := _paths(cells))), raw.names)


def _paths(cells: Any) -> list[str] | None:
    """The paths in a column as they are written there, or None where it holds no paths."""
    if isinstance(cells, Chain):
        pieces = [_paths(p) for p in cells.pieces]
        return None if any(p is None for p in pieces) else [t for p in pieces for t in p or ()]
    if isinstance(cells, Cells) and not isinstance(cells.column, LazyColumn):
        paths = cells.paths()
        return None if paths is None else [t or "" for t in paths]
    if isinstance(cells, list) and any(isinstance(c, Path) for c in cells):
        return [str(c) if isinstance(c, Path) else "" for c in cells]
    return None


def doubts(table: Table, rows: np.ndarray) -> list[str]:
    """A sentence where the groups of these rows cannot be what was meant."""
    count = 0 if table.groups is None else len(np.unique(table.groups[rows]))
    if count == len(rows) > 1:
        return [f"No two of the {len(rows):,} rows are of one group, so --group changes nothing: is it the right one?"]
    return [f"All {len(rows):,} rows are of one group, so none can be held out."] if count == 1 < len(rows) else []


def of_run(model: Any, data: Any, group: str | None, group_from: str | None) -> dict[str, str | None]:
    """What to read groups by: as asked, else as the model's own data were read where `data` (None, or equal) are those.

    The model is an Embedder or Ensemble, the data what can be read.
    """
    own = model.config.data
    same = data is None
    if isinstance(data, str | Path) and own.source:
        there, here = (os.path.abspath(Path(os.path.expanduser(p))) for p in (data, own.source))
        same = there == here
    if group is None and group_from is None and same:
        group, group_from = own.group, own.group_from
    return {"group": group, "group_from": group_from}


def cut(groups: np.ndarray, splits: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence for every split that holds rows of groups which the split ``train`` has too."""
    train = groups[splits["train"]] if "train" in splits else groups[:0]
    counts = {s: _common(groups[rows], train) for s, rows in splits.items() if s != "train"}
    return [
        f"{n:,} of the {len(splits[s]):,} rows of the split {s!r} are of groups that the split 'train' has too: "
        "figures on them are too good for new groups."
        for s, n in counts.items() if n
    ]  # fmt: skip


def shared(table: Table, train: np.ndarray, test: np.ndarray) -> int:
    """How many of the test rows are of a group that has train rows too."""
    return 0 if table.groups is None else _common(table.groups[test], table.groups[train])


def among(table: Table, other: Table) -> int:
    """How many rows are of a group that the labelled rows of another table have too."""
    if table.groups is None or other.groups is None or other.labels is None:
        return 0
    return _common(table.groups, other.groups[other.labels >= 0])


def _common(groups: np.ndarray, others: np.ndarray) -> int:
    return int(((groups >= 0) & np.isin(groups, others)).sum())


# --- holding out --------------------------------------------------------------------------------------------------


def together(table: Table, rows: np.ndarray) -> np.ndarray:
    """Number of what each row belongs to, int64 (M,): rows of equal number are never held out from each other.

    These are rows of one group and rows of equal content, and what is connected by such; of several columns that
    belong together, rows of equal content in one of them. Numbers go up with the first row of each.

    Notes
    -----
    Where equal rows of different groups, such as black pictures, connect more than half of all rows, the groups alone
    count, and equal rows may lie on two sides.
    """
    hashes = [c.hashes for c in table.columns.values()] if belong_together(table) else [table.hashes]
    group = equal(hashes if table.groups is None else [*hashes, table.groups], rows)
    if table.groups is not None and np.bincount(group).max(initial=0) > GLUED * len(rows):
        group = equal([table.groups], rows)
    return by_first(group)


def belong_together(table: Table) -> bool:
    """Whether rows are sides that belong together, and so are those that share one; a scored pair stands by itself."""
    return len(table.columns) > 1 and table.scores is None


def by_first(number: np.ndarray) -> np.ndarray:
    """The same groups, numbered 0 … G − 1 in the order of their first rows."""
    _, first, of_row = np.unique(number, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[of_row]


def whole(
    groups: np.ndarray, y: np.ndarray, target: Sequence[float], order: Sequence[int], *, each: bool = False
) -> np.ndarray:
    """Which rows to hold out so that groups stay whole and about `target` rows of every class are held out, bool (N,).

    Groups are taken in `order`: first those that exceed no class's target, then those that still bring the numbers of
    rows nearer to it (in the sum over the classes of squared distance over target). Each leaves rows of its classes.
    With `each`, a class of whose rows none were taken, though its target is 1 or more, gives its smallest group.
    `groups` (N,) are 0 … G − 1, each with a row; `y` (N,) are classes 0 … C − 1, as many as targets.
    """
    classes, count = len(target), int(groups.max(initial=-1)) + 1
    pairs, size = np.unique(groups * classes + y, return_counts=True)
    start = np.searchsorted(pairs // classes, np.arange(count + 1)).tolist()
    label, rows = (pairs % classes).tolist(), size.tolist()
    left = np.bincount(y, minlength=classes).tolist()
    lack, weight = [float(t) for t in target], [1 / max(1.0, t) for t in target]
    taken = np.zeros(count, bool)

    def own(g: int) -> list[tuple[int, int]]:
        return [(label[i], rows[i]) for i in range(start[g], start[g + 1])]

    def take(g: int) -> None:
        taken[g] = True
        for c, n in own(g):
            lack[c], left[c] = lack[c] - n, left[c] - n

    def leaves(g: int) -> bool:
        return not taken[g] and all(n < left[c] for c, n in own(g))

    for g in order:
        if all(n <= lack[c] for c, n in own(g)) and leaves(g):
            take(g)
    for g in order if any(k >= 1 for k in lack) else ():
        if sum(n * (n - 2 * lack[c]) * weight[c] for c, n in own(g)) <= 0 and leaves(g):
            take(g)
    for c in range(classes if each else 0):
        if 1 <= target[c] == lack[c]:
            some = [g for g in order if any(k == c for k, _ in own(g)) and leaves(g)]
            if some:
                take(min(some, key=lambda g: sum(n for _, n in own(g))))
    return taken[groups]
