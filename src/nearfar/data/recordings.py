"""A long table with a column of times: the rows of a group, in their order, are one recording of several channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, cell_or_error
from nearfar.data import windows
from nearfar.data.columns import LABEL_NAMES, SPLIT_NAMES, Findings, check
from nearfar.data.numeric import Numeric, numeric
from nearfar.data.readers.raw import Raw
from nearfar.data.readers.structure import listed
from nearfar.data.times import seconds

SERIES = "series"  # what the channels are called together, and their modality
EVEN = 0.02  # a distance in time that differs by less, as a share, is the usual one
GAPS = 0.9  # share of the distances that must be whole multiples of the usual one for the others to be gaps
FAR = 3  # usual distances from one time to the next, beyond which nothing is put between
MOST = 20  # steps for each row that is there; more are no series


def of_table(
    raw: Raw, time: str, group: str | None, wanted: Sequence[str], kept: Sequence[str | None], window: int | str | None,
    hop: int | str | None, notes: Findings,
) -> tuple[Raw, tuple[str, ...], int | None, int | None]:  # fmt: skip
    """Recordings, or windows of them, as the rows of a new `Raw`; its channels; and the windows' length and distance.

    Channels are the numeric columns, or those `wanted`. Of `kept` columns, labels and splits a row has what most of its
    steps say. Times out of order are sorted, values of equal times averaged; where times are uneven, steps that are
    missing become gaps, or values are taken along a line between two times: each is said.

    Raises
    ------
    DataError, UnknownName
        There is no such column, it holds no times, or nothing beside it holds numbers.
    """
    check(raw, time, "--time")
    check(raw, group, "--group")
    at = seconds(raw.columns[time], time)
    beside = {c for c in raw.columns if c.lower() in (*LABEL_NAMES, *SPLIT_NAMES)} | {c for c in kept if c}
    pool = [c for c in (wanted or raw.columns) if c not in (time, group) and (c in wanted or c not in beside)]
    numbers = {c: f for c in pool if isinstance(f := numeric(raw.columns[c]), Numeric)}
    if not numbers:
        raise DataError("no column beside the times holds numbers.", where="--time")
    if left := [c for c in raw.columns if c not in (*numbers, *beside, time, group)]:
        notes.warn(f"Left out: {listed(left)}, which hold no numbers.")
    notes.append(f"Channels: {listed(list(numbers))}; --column, once for each, takes others.")
    values = np.stack([f.values for f in numbers.values()])
    names, owner = _groups(raw, group)
    if missing := int(np.isnan(at).sum()):
        notes.warn(f"Times: {missing:,} rows have none and are left out.")
    cells, steps = _recordings(at, values, owner, len(names), notes)
    cut, length, step = windows.cut(cells, SERIES, window, hop, notes, always=True)
    assert cut is not None
    called = cut.named(names) if length else [names[int(i)] for i in cut.owner]
    said = {c: [_said(raw.columns[c], rows) for rows in steps] for c in raw.columns if c in beside and c not in numbers}
    columns: dict[str, Any] = {SERIES: replace(cut, said=said)} | {c: _usual(of, cut) for c, of in said.items()}
    return replace(
        raw, columns=columns, names=list(called), kinds={SERIES: SERIES}, bad={}, index=(), sides=(),
        recordings=[names[int(i)] for i in cut.owner],
        splits=None if raw.splits is None else _usual([_said(raw.splits, rows) for rows in steps], cut),
    ), tuple(numbers), length, step  # fmt: skip


def _groups(raw: Raw, group: str | None) -> tuple[list[str], np.ndarray]:
    """Names of the recordings, and of each row which one it is of."""
    if group is None:
        name = str(raw.names[0]).rpartition(":")[0] or "recording"
        return [name], np.zeros(len(raw), np.int64)
    said = [str(c).strip() if (c := cell_or_error(raw.columns[group], i)) is not None else "" for i in range(len(raw))]
    names, owner = np.unique(said, return_inverse=True)
    return [str(n) or "(none)" for n in names], owner.astype(np.int64)


def _recordings(
    at: np.ndarray, values: np.ndarray, owner: np.ndarray, count: int, notes: Findings
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each recording, float32 (C, T), and for each of its steps the row of the table that it is from, −1 for none."""
    cells, steps, unsorted, equal, resampled, gaps = [], [], 0, 0, 0, 0
    for g in range(count):
        rows = np.flatnonzero((owner == g) & ~np.isnan(at))
        order = np.argsort(at[rows], kind="stable")
        unsorted += int((np.diff(at[rows]) < 0).any())
        rows = rows[order]
        times, first, number = np.unique(at[rows], return_index=True, return_inverse=True)
        x = values[:, rows]
        if len(times) < len(rows):
            equal += len(rows) - len(times)
            x = _averaged(x, number, len(times))
        rows = rows[first]
        if len(times) > 2:
            x, rows, how = _even(times, x, rows)
            resampled, gaps = resampled + (how == "resampled"), gaps + (how == "gaps")
        cells.append(x.astype(np.float32))
        steps.append(rows)
    if unsorted:
        notes.warn(f"Times: out of order in {unsorted:,} of {count:,} recordings, which were sorted.")
    if equal:
        notes.warn(f"Times: {equal:,} rows have the time of another row of their recording; their values are averaged.")
    if gaps:
        notes.warn(f"Times: steps are missing in {gaps:,} of {count:,} recordings; they are gaps.")
    if resampled:
        notes.warn(f"Times: uneven in {resampled:,} of {count:,} recordings, whose values were taken at even times, "
                   "along lines between their neighbours.")  # fmt: skip
    return cells, steps


def _averaged(x: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    there = ~np.isnan(x)
    total, known = np.zeros((len(x), count)), np.zeros((len(x), count))
    for c in range(len(x)):
        np.add.at(total[c], number[there[c]], x[c, there[c]])
        np.add.at(known[c], number[there[c]], 1)
    return np.where(known > 0, total / np.maximum(1, known), np.nan)


def _even(times: np.ndarray, x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """The values at even times, the row that each step is from, and whether by "gaps" or "resampled"."""
    apart = np.diff(times)
    usual = float(np.median(apart))
    if np.abs(apart - usual).max() <= EVEN * usual:
        return x, rows, "as they are"
    place = (times - times[0]) / usual
    if place[-1] > MOST * len(times):
        raise DataError(
            f"the times of a recording are {usual:g} apart as a rule and span {times[-1] - times[0]:g}: most of it "
            "would be missing.", where="--time", hint="Name the recordings with --group.",
        )  # fmt: skip
    off = np.abs(apart / usual - np.round(apart / usual))
    count = round(float(place[-1])) + 1
    if (off <= 5 * EVEN).mean() >= GAPS:
        steps = np.round(place).astype(np.int64)
        out, from_row = np.full((len(x), count), np.nan), np.full(count, -1)
        out[:, steps], from_row[steps] = x, rows
        return out, from_row, "gaps"
    wanted = np.arange(count, dtype=np.float64)
    after = np.searchsorted(place, wanted).clip(1, len(place) - 1)
    from_last, to_next = np.abs(wanted - place[after - 1]), np.abs(place[after] - wanted)
    far = (place[after] - place[after - 1] > FAR) & (np.minimum(from_last, to_next) > 0.5)
    out = np.stack([np.interp(wanted, place, line) for line in x])
    out[:, far] = np.nan
    return out, rows[np.where(to_next < from_last, after, after - 1)], "resampled"


def _said(cells: Sequence[Any], rows: np.ndarray) -> list[Any]:
    """What the steps of a recording, from these rows, say; None where they say nothing."""
    said = (cell_or_error(cells, i) if i >= 0 else None for i in rows.tolist())
    return [None if isinstance(c, BadCell) else c for c in said]


def _usual(said: Sequence[Sequence[Any]], cut: windows.Windows) -> list[Any]:
    """What most steps of each window say; None where none says anything."""
    found = []
    for owner, start, stop in zip(cut.owner.tolist(), cut.start.tolist(), cut.stop.tolist(), strict=True):
        counts = Counter(c for c in said[owner][start:stop] if c is not None)
        found.append(counts.most_common(1)[0][0] if counts else None)
    return found
