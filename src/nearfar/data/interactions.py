"""From a table of interactions, a row for each time that a user took an item, to histories.

Ids of any kind are compared as the texts that they are written as.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from nearfar.core.errors import BadCell, ConfigError, DataError, UnknownName, cell_or_error
from nearfar.core.options import columns_of
from nearfar.data.columns import Findings, check
from nearfar.data.histories import LEAVE_OUT, TEST, TRAIN, VALIDATION, Histories
from nearfar.data.numeric import CAMEL, IDS, Numeric, numeric
from nearfar.data.readers.parquet import LazyColumn
from nearfar.data.readers.raw import Cells, Raw
from nearfar.data.times import seconds

NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}  # parts by the usual names of splits
OF_INTERACTIONS = ("time", "rating", "min_rating", "items", "leave_out")  # knobs that --pair of ids may have beside it


def paired(pair: Sequence[str] | Sequence[Sequence[str]], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a pair of columns means for reading: two sides of a row, or a user and an item.

    They are a user and an item where one of `OF_INTERACTIONS` is `given` beside the pair, or both are named as ids
    are: ``user_id`` and ``item_id``, ``userId`` and ``movieId``.

    Raises a `ConfigError` where more than two columns are paired and such an option is given.
    """
    columns = columns_of(pair)
    beside = next((n for n in OF_INTERACTIONS if given.get(n) not in (None, "auto")), None)
    named = [IDS.fullmatch(c.strip()) or CAMEL.fullmatch(c.strip()) for c in columns]
    if beside is None and not (len(columns) == 2 and all(named)):
        return {"column": columns}
    if len(columns) != 2:
        raise ConfigError(f"{beside} is said of a user and an item, and {len(columns)} columns are paired.",
                          where="--pair")  # fmt: skip
    return {"user": columns[0], "column": columns[1:]}


def left_out(asked: str, user: str | None, time: str | None) -> str:
    """Which interactions are left out of training: where `asked` is "auto", what the columns allow."""
    return asked if asked != "auto" else "none" if user is None else "random" if time is None else "last"


def check_none(given: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` for the first option that says something of interactions, where there are none."""
    for name, value in given.items():
        if value is not None:
            where, hint = f"--{name.replace('_', '-')}", "Name their columns: --pair USER ITEM."
            raise ConfigError("is said of interactions, and no users and items are named.", where=where, hint=hint)


def of_raw(
    raw: Raw, user: str, item: str, *, time: str | None = None, rating: str | None = None,
    min_rating: float | None = None, items: Raw | None = None, splits: Mapping[str, np.ndarray] | None = None,
    leave_out: str = "auto", seed: int = 0, notes: Findings,
) -> tuple[Histories, dict[int, str]]:  # fmt: skip
    """Histories from a table of interactions, and which of its rows cannot be used, with the reason.

    Of several interactions of one user with one item the last counts.

    Parameters
    ----------
    raw : Raw
        One interaction a row.
    user, item, time, rating : str
        Columns of it.
    min_rating : float, optional
        Interactions of a lower rating are left out.
    items : Raw, optional
        What is known of the items, found by the column of the same name as `item`, or else by the first.
    splits : mapping of str to ndarray, optional
        Rows of `raw` by split, where the data have any; then these are the parts.
    leave_out : str
        A name of `LEAVE_OUT`, "none", or "auto": the last by time where there is one, else at random.
    seed : int
        Of what is drawn.
    notes : Findings
        Takes what is to be said.

    Raises
    ------
    UnknownName
        There is no such column.
    DataError
        No interaction is left, or times and ratings cannot be read.
    """
    for name, where in ((user, "--pair"), (item, "--pair"), (time, "--time"), (rating, "--rating")):
        check(raw, name, where)
    if min_rating is not None and rating is None:
        raise ConfigError("a lowest rating needs a column of ratings.", where="--min-rating", hint="Add --rating.")
    bad = dict(raw.bad)
    users, who = texts_of(raw.columns[user])
    things, what = texts_of(raw.columns[item])
    when = None if time is None else seconds(raw.columns[time], time)
    weight = np.ones(len(raw), np.float32) if rating is None else _ratings(raw.columns[rating], rating)
    for missing, said in ((who < 0, "user"), (what < 0, "item"), (~np.isfinite(weight), "rating")):
        bad |= {i: f"has no {said}" for i in np.flatnonzero(missing).tolist() if i not in bad}
    good = np.setdiff1d(np.concatenate(list(splits.values())) if splits else np.arange(len(raw)), list(bad))
    if min_rating is not None:
        high = weight[good] >= min_rating
        notes.append(f"Ratings: {int(high.sum()):,} of {len(good):,} interactions are at least {min_rating:g}.")
        good = good[high]
    if not len(good):
        raise DataError("no interaction is left.", hint="Lower --min-rating." if min_rating is not None else None)
    if rating is not None and len(np.unique(weight[good])) == 1:
        notes.warn(f"Ratings: all are {weight[good[0]]:g}, so they say nothing of what a user likes more.")

    order = good if when is None else good[np.lexsort((good, np.nan_to_num(when[good], nan=-np.inf)))]
    _say_order(when, good, order, who, notes)
    order = order[np.argsort(who[order], kind="stable")]
    key = who[order].astype(np.int64) * len(things) + what[order]
    last = np.sort(len(key) - 1 - np.unique(key[::-1], return_index=True)[1])
    if repeats := len(key) - len(last):
        notes.warn(f"Duplicates: {repeats:,} interactions are of a user with an item that the user takes again later; "
                   "the last of each counts.")  # fmt: skip
    order = order[last]

    kept_users, who = _present(users, who[order])
    kept_items, what = _present(things, what[order])
    if lost := len(users) - len(kept_users):
        notes.warn(f"Users: {lost:,} have no interaction left.")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(who, minlength=len(kept_users)))]).astype(np.int64)
    made = Histories(kept_users, kept_items, indptr, what.astype(np.int32), weight[order],
                     None if when is None else when[order])  # fmt: skip
    if items is not None:
        made = with_content(made, items, item, notes)
    notes.append(f"Interactions: {len(order):,} of {len(made):,} users with {len(made.items):,} items; a row is a "
                 "user.")  # fmt: skip
    return _with_parts(made, splits or {}, order, left_out(leave_out, user, time), seed, notes), bad


def texts_of(cells: Any) -> tuple[list[str], np.ndarray]:
    """The distinct ids of a column as texts, in the order in which they first come, and which each row has.

    A whole number is spelt without a point, whatever the container made of it; text is taken as it stands, so "007" is
    not "7". Rows that hold nothing have −1, int64 (N,).
    """
    if isinstance(cells, np.ndarray) and cells.ndim == 1 and cells.dtype.kind in "iuf":
        whole = cells.dtype.kind == "f" and bool((cells[np.isfinite(cells)] % 1 == 0).all())
        column = pa.array(np.where(np.isfinite(cells), cells, np.nan) if cells.dtype.kind == "f" else cells,
                          from_pandas=True)  # fmt: skip
        spelt: Callable[[Any], str] = (lambda v: str(int(v))) if whole else str
    elif isinstance(cells, Cells) and not isinstance(cells.column, LazyColumn) and not cells.text and not cells.folder:
        column, spelt = cells.column, str
    else:
        texts = [_text(cell_or_error(cells, i)) for i in range(len(cells))]
        column, spelt = pa.array(texts, pa.large_string()), str
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):  # too long for one chunk
        column = pa.concat_arrays(column.chunks)
    encoded = column.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    codes = np.where(np.isfinite(codes), codes, -1).astype(np.int64)
    names = [spelt(v) for v in encoded.dictionary.to_pylist()]
    empty = np.asarray([not n.strip() for n in names] + [False])
    return _renumbered(names, np.where(empty[codes], -1, codes))


def _renumbered(names: list[str], codes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of equal spelling as one, without those that no row has."""
    number: dict[str, int] = {}
    used = np.unique(codes[codes >= 0]).tolist()
    place = np.full(len(names) + 1, -1)
    for i in used:
        place[i] = number.setdefault(names[i], len(number))
    return list(number), place[codes]


def _text(cell: Any) -> str | None:
    if isinstance(cell, bytes):
        try:
            return cell.decode("utf-8")
        except UnicodeDecodeError:
            return None
    if cell is None or isinstance(cell, BadCell) or cell != cell:
        return None
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def _ratings(cells: Any, name: str) -> np.ndarray:
    numbers = numeric(cells)
    if not isinstance(numbers, Numeric):
        raise DataError(f"the column {name!r} {numbers or 'holds no numbers'}.", where="--rating")
    return numbers.values.astype(np.float32)


def _say_order(
    when: np.ndarray | None, good: np.ndarray, order: np.ndarray, who: np.ndarray, notes: Findings
) -> None:  # fmt: skip
    if when is None:
        notes.append("Order: that of the rows, since no column of times is named.")
        return
    if none := int(np.isnan(when[good]).sum()):
        notes.warn(f"Times: {none:,} interactions have none; they count as the first of their user.")
    by_user = good[np.argsort(who[good], kind="stable")]
    back = (np.diff(when[by_user]) < 0) & (np.diff(who[by_user]) == 0)
    if back.any():
        notes.append(f"Times: {int(back.sum()):,} interactions stand before an earlier one of their user; they were "
                     "sorted, those of one time by row.")  # fmt: skip


def _present(names: list[str], codes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The names that occur, and the codes among them."""
    used, new = np.unique(codes, return_inverse=True)
    return [names[i] for i in used.tolist()], new.reshape(-1)


def with_content(histories: Histories, items: Raw, item: str, notes: Findings) -> Histories:
    """The histories with what a table says of the items; items that nobody took come after the others."""
    key = item if item in items.columns else next(iter(items.columns))
    names, code = texts_of(items.columns[key])
    if repeated := int((code >= 0).sum()) - len(names):
        notes.warn(f"Items: {repeated:,} come twice in the table of items; the first row counts.")
    row = {names[c]: i for i, c in reversed(list(enumerate(code.tolist()))) if c >= 0}
    there = set(histories.items)
    if not there & row.keys():
        example = f"{next(iter(histories.items))!r} and {next(iter(row), '')!r}"
        raise DataError(f"no item of the interactions is in the column {key!r} of the items: {example}.",
                        where="--items", hint="Both columns have to hold the same ids.")  # fmt: skip
    more = [n for n in names if n not in there]
    if more:
        notes.append(f"Items: {len(more):,} that nobody took; they can be recommended by what is known of them.")
    if unknown := sum(n not in row for n in histories.items):
        notes.warn(f"Items: of {unknown:,} that were taken nothing is known.")
    every = [*histories.items, *more]
    content = {c: [cell_or_error(cells, row[n]) if n in row else None for n in every]
               for c, cells in items.columns.items() if c != key}  # fmt: skip
    return replace(histories, items=every, content=content)


def _with_parts(
    histories: Histories, splits: Mapping[str, np.ndarray], order: np.ndarray, leave_out: str, seed: int,
    notes: Findings,
) -> Histories:  # fmt: skip
    if splits:
        part = np.zeros(len(order), np.int8)
        for name, rows in splits.items():
            part[np.isin(order, rows)] = NAMES.get(name, TRAIN)
        notes.append(f"Interactions by split: {_counts(part)}.")
        return replace(histories, part=part)
    if leave_out == "none":
        return histories
    if leave_out not in LEAVE_OUT:
        raise UnknownName("way to leave out interactions", leave_out, [*LEAVE_OUT, "none"], where="data.leave_out")
    if leave_out != "random" and histories.time is None:
        raise ConfigError("leaving out the latest interactions needs a column of times.", where="data.leave_out",
                          hint="Name it with --time.")  # fmt: skip
    made = replace(histories, part=LEAVE_OUT[leave_out](histories, seed))
    notes.append(f"Left out of training, to be measured on ({leave_out}): {_counts(made.part)}.")
    if few := int((np.diff(made.of(TEST).indptr) == 0).sum()):
        notes.append(f"Users without a test interaction: {few:,} of {len(made):,}.")
    return made


def _counts(part: np.ndarray) -> str:
    return ", ".join(f"{name} {int((part == p).sum()):,}" for name, p in NAMES.items())
