"""Which columns say something of the rows: splits, labels, scores, sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, UnknownName
from nearfar.core.names import is_number, printable
from nearfar.data import label_sets
from nearfar.data.numeric import Numeric, label_texts, numeric
from nearfar.data.readers.raw import Picked, Raw, named
from nearfar.data.readers.structure import SPLITS, listed, of_mapping

LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
SPLIT_NAMES = ("split", "subset", "partition")


class Findings(list):
    """Sentences about how data were read, in their order, for who follows along.

    Its `warnings` are what was left out or may surprise: said always, through `Console.warn`, which from Python is a
    `NearfarWarning`.
    """

    def __init__(self, notes: Iterable[str] = (), warnings: Iterable[str] = ()) -> None:
        super().__init__(notes)
        self.warnings = list(warnings)

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass(frozen=True)
class Said:
    """What other columns say of the rows; the fields are those of `nearfar.data.table.Table`."""

    labels: np.ndarray | None
    label_names: tuple[str, ...]
    scores: np.ndarray | None
    sets: np.ndarray | None
    set_names: tuple[str, ...]
    groups: np.ndarray | None = None
    within: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> Said:
        """The same of some of the rows only."""
        names = ("labels", "scores", "sets", "groups", "within")
        return replace(self, **{n: v if v is None else v[rows] for n in names for v in (getattr(self, n),)})


def check(raw: Raw, name: str | None, where: str) -> None:
    """Raise an `UnknownName` where a column was named that does not exist."""
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where=where)


def take_splits(raw: Raw, name: str | None, notes: Findings) -> dict[str, np.ndarray]:
    """Rows by split, of the files that they are from or of a column; structure.py says which names count.

    A column that nobody has named counts where no file has said more, and where a value of it is the name of a split.
    """
    check(raw, name, "--split-column")
    values, column = raw.splits, None
    for candidate in [name] if name is not None else [c for c in raw.columns if c.lower() in SPLIT_NAMES]:
        cells = label_texts([None if isinstance(v, BadCell) else v for v in _filled(raw.columns[candidate])])
        meant = of_mapping({v for v in cells if v is not None})
        if name is None and not any(meant.values()):
            continue
        own = [None if v is None else meant[v] or v for v in cells]
        raw.columns.pop(candidate)
        if name is not None or values is None or len(set(values)) == 1:
            values, column = own, candidate
        elif differ := sum(a != b for a, b in zip(own, values, strict=True)):
            notes.warn(f"Splits: {differ:,} rows have another in the column {candidate!r} than by file, which counts.")
        break
    if values is None:
        return {}
    if none := values.count(None):
        notes.warn(f"Splits: {none:,} rows have no split in the column {column!r} and are left out.")
    array = np.asarray(values, dtype=object)
    splits = {str(s): np.flatnonzero(array == s) for s in dict.fromkeys(values) if s is not None}
    if others := [f"{printable(s)} ({len(r):,} rows)" for s, r in splits.items() if s not in SPLITS.values()]:
        notes.append(f"Splits of other names, used only where they are named: {listed(others)}.")
    return splits


def take_labels(
    raw: Raw, name: str | None, notes: Findings, wanted: Sequence[str | None] = ()
) -> tuple[np.ndarray | None, tuple[str, ...], str | None]:
    """Labels, names of the classes and the column they are in, which is taken out; never one that is `wanted`."""
    check(raw, name, "--label")
    guessed = name is None
    if name is None:
        near = [raw.label] if raw.label in raw.columns else [c for c in raw.columns if c.lower() in LABEL_NAMES]
        near = [c for c in near if c not in wanted]
        if len(near) > 1:
            raise DataError(f"the columns {' and '.join(near)} may both be labels.", hint="Choose one with --label.")
        name = near[0] if near else None
        if name is not None and name != "label":
            notes.append(f"Label column: {name!r} (change with --label).")
    if name is None or len(raw.columns) == 1:
        return None, (), None
    cells = list(raw.columns.pop(name))
    if guessed and (several := label_sets.first(cells)) is not None:
        notes.warn(f"The column {name!r} is left out: it holds several labels in a cell, such as {several}, and a row "
                   "has one class. Name another column with --label.")  # fmt: skip
        return None, (), None
    return *encoded(cells, raw.classes.get(name), name, notes), name


def encoded(
    cells: Sequence[Any], classes: list[str] | None, column: str, notes: Findings
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as whole numbers, −1 for empty ones, and the names of the classes."""
    values = label_sets.single(_filled(cells), column)
    if unread := sum(isinstance(v, bytes | BadCell) for v in values):
        notes.warn(f"Labels: {unread:,} of the column {column!r} are not UTF-8, or cannot be read; these rows count as "
                   "unlabelled.")  # fmt: skip
    if infinite := sum(isinstance(v, float | np.floating) and math.isinf(v) for v in values):
        notes.warn(f"Labels: {infinite:,} of the column {column!r} are infinite; these rows count as unlabelled.")
    values = [None if isinstance(v, bytes | BadCell) or v in (math.inf, -math.inf) else v for v in values]
    if classes is not None:
        texts, names = named(values, classes, column), list(classes)
    else:
        texts = label_texts(values)
        names = {t for t in texts if t is not None}
        if (merged := len({v for v in values if v is not None}) - len(names)) > 0:
            notes.warn(f"Labels: {merged:,} of the spellings in the column {column!r} differ from others by spaces "
                       "around them, or as 1 and 1.0 do; they count as the same class.")  # fmt: skip
        # Numbers come in their order, before words.
        known = {t: float(t) if is_number(t) else math.inf for t in names}
        names = sorted(names, key=lambda t: (0, known[t], t) if math.isfinite(known[t]) else (1, 0.0, t))
        for doubt in label_sets.doubts(names, column):
            notes.warn(doubt)
    number = {t: i for i, t in enumerate(names)}
    return np.asarray([-1 if t is None else number[t] for t in texts], np.int64), tuple(names)


def _filled(cells: Sequence[Any]) -> list[Any]:
    """The cells, bytes as text where they are, with None for those that hold nothing."""
    filled = []
    for cell in cells:
        if isinstance(cell, bytes):
            with suppress(UnicodeDecodeError):
                cell = cell.decode("utf-8")
        blank = isinstance(cell, str) and not cell.strip()
        filled.append(None if blank or (isinstance(cell, float | np.floating) and np.isnan(cell)) else cell)
    return filled


def take_scores(raw: Raw, name: str | None, notes: Findings) -> np.ndarray | None:
    """How alike the two sides of each row are, float64 (N,), NaN where none is said; None where no column was named."""
    if name is None:
        return None
    check(raw, name, "--score")
    numbers = numeric(raw.columns.pop(name))
    if not isinstance(numbers, Numeric):
        raise DataError(f"the column {name!r} {numbers or 'holds no numbers'}.", where="--score")
    scores = np.where(np.isfinite(numbers.values), numbers.values, np.nan)
    if len(none := np.flatnonzero(np.isnan(scores))):
        first = listed([str(raw.names[int(i)]) for i in none])
        notes.warn(f"Scores: none in {len(none):,} of {len(scores):,} rows ({first}); scored pairs are the others.")
    return scores


def take_sets(raw: Raw, name: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Which set each row is of, int64 (N,), and the names of the sets; None where no column was named."""
    if name is None:
        return None, ()
    check(raw, name, "data.sets")
    number, names = encoded(raw.columns.pop(name), raw.classes.get(name), name, Findings())
    if (number < 0).any():
        raise DataError(f"{int((number < 0).sum())} rows are of no set.", where=f"data.sets={name}")
    return number, names


def take_within(raw: Raw, name: str | None, kept: Sequence[str | None], notes: Findings) -> np.ndarray | None:
    """What each row is within, int64 (N,), from the column `name`, which stays where it is one of `kept`.

    Raises a `DataError` where all rows are within the same, so that nothing would change, or a cell is empty.
    """
    if name is None:
        return None
    check(raw, name, "--within")
    cells = raw.columns[name] if name in kept else raw.columns.pop(name)
    number, names = encoded(cells, raw.classes.get(name), name, Findings())
    if none := int((number < 0).sum()):
        raise DataError(f"{none:,} rows have an empty {name!r}.", where="--within", hint="Leave these rows out.")
    if len(names) < 2:
        raise DataError(f"all rows have the same {name!r}.", where="--within", hint="Leave the option out.")
    notes.append(f"Negatives: of the same {name} only, of which there are {len(names):,}.")
    return number


def limited(
    raw: Raw, splits: dict[str, np.ndarray], limit: int, seed: int
) -> tuple[Raw, dict[str, np.ndarray], np.ndarray]:
    """`limit` rows of every split, drawn by `seed`; the splits among them, and their numbers in `raw`."""
    generator = np.random.default_rng(seed)
    pools = splits or {"": np.arange(len(raw))}
    kept = {s: np.sort(generator.permutation(rows)[:limit]) for s, rows in pools.items()}
    rows = np.sort(np.concatenate(list(kept.values())))
    in_memory = {k for k, v in raw.columns.items() if isinstance(v, np.ndarray) and not isinstance(v, np.memmap)}
    columns = {k: v[rows] if k in in_memory else Picked(v, rows) for k, v in raw.columns.items()}
    names = [raw.names[int(i)] for i in rows]
    bad = {new: raw.bad[old] for new, old in enumerate(rows.tolist()) if old in raw.bad}
    smaller = replace(raw, columns=columns, names=names, splits=None, bad=bad)
    return smaller, {s: np.searchsorted(rows, r) for s, r in kept.items()} if splits else {}, rows
