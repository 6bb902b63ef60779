"""Which columns say something of the rows: splits, labels, scores, sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, UnknownName
from nearfar.core.names import printable
from nearfar.data import label_sets
from nearfar.data.numeric import Numeric, label_texts, numeric
from nearfar.data.readers.raw import Picked, Raw, named
from nearfar.data.readers.structure import SPLITS, listed, of_mapping

LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
SPLIT_NAMES = ("split", "subset", "partition")
USUAL = set(SPLITS.values())


class Findings(list):
    """Sentences about how data were read, in their order.

    Parameters
    ----------
    notes : iterable of str
        Said where a person follows along.
    warnings : list of str
        What was left out or may surprise: said always, through `Console.warn`, which from Python is a
        `NearfarWarning`.
    """

    def __init__(self, notes: Iterable[str] = (), warnings: list[str] | None = None) -> None:
        super().__init__(notes)
        self.warnings = [] if warnings is None else warnings

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)


def take_splits(raw: Raw, name: str | None, notes: Findings) -> dict[str, np.ndarray]:
    """Rows by split, of the files that they are from or of a column; the names of `nearfar.data.readers.structure`
    count.

    A column that nobody has named counts where no file has said more, and where a value of it is the name of a split.
    """
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--split-column")
    values, column = raw.splits, None
    for candidate in [name] if name is not None else [c for c in raw.columns if c.lower() in SPLIT_NAMES]:
        own = _splits_in(raw.columns[candidate], asked=name is not None)
        if own is None:
            continue
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
    found = {str(s): np.flatnonzero(array == s) for s in dict.fromkeys(values) if s is not None}
    if others := [f"{printable(s)} ({len(rows):,} rows)" for s, rows in found.items() if s not in USUAL]:
        notes.append(f"Splits of other names, used only where they are named: {listed(others)}.")
    return found


def _splits_in(cells: Sequence[Any], *, asked: bool) -> list[str | None] | None:
    """The split of each cell; None for a column that nobody asked for and that names none."""
    own = label_texts([None if isinstance(v, BadCell) else v for v in _filled(cells)])
    meant = of_mapping({v for v in own if v is not None})
    return [None if v is None else meant[v] or v for v in own] if asked or any(meant.values()) else None


def take_labels(
    raw: Raw, name: str | None, notes: Findings, wanted: Sequence[str | None] = ()
) -> tuple[np.ndarray | None, tuple[str, ...], str | None]:
    """Labels, names of the classes and the column they are in, which is taken out; never one that is `wanted`."""
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--label")
    guessed = name is None
    if name is None:
        near = [raw.label] if raw.label in raw.columns else [c for c in raw.columns if c.lower() in LABEL_NAMES]
        near = [c for c in near if c not in wanted]
        if len(near) > 1:
            raise DataError(f"the columns {' and '.join(near)} may both be labels.", hint="Say which with --label.")
        name = near[0] if near else None
        if name is not None and name != "label":
            notes.append(f"Label column: {name!r} (change with --label).")
    if name is None or len(raw.columns) == 1:
        return None, (), None
    cells = list(raw.columns.pop(name))
    if guessed and (found := label_sets.first(cells)) is not None:
        notes.warn(f"The column {name!r} is left out: it holds several labels in a cell, such as {found}, and a row "
                   "has one class. Name another column with --label.")  # fmt: skip
        return None, (), None
    return *_encoded(cells, raw.classes.get(name), name, notes), name


def _encoded(
    cells: Sequence[Any], classes: list[str] | None, column: str, notes: Findings
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as whole numbers, −1 for empty ones, and the names of the classes."""
    values = label_sets.single([_as_text(v) for v in _filled(cells)], column)
    if unread := sum(isinstance(v, bytes | BadCell) for v in values):
        notes.warn(f"Labels: {unread:,} of the column {column!r} are no UTF-8, or cannot be read; these rows count as "
                   "unlabelled.")  # fmt: skip
    if infinite := sum(isinstance(v, float | np.floating) and math.isinf(v) for v in values):
        notes.warn(f"Labels: {infinite:,} of the column {column!r} are infinite; these rows count as unlabelled.")
    values = [None if isinstance(v, bytes | BadCell) or v in (math.inf, -math.inf) else v for v in values]
    if classes is not None:
        number = {name: i for i, name in enumerate(classes)}
        labels = [-1 if name is None else number[name] for name in named(values, classes, column)]
        return np.asarray(labels, np.int64), tuple(classes)
    texts = label_texts(values)
    if (merged := len({v for v in values if v is not None}) - len({t for t in texts if t is not None})) > 0:
        notes.warn(f"Labels: {merged:,} of the spellings in the column {column!r} differ from others by spaces around "
                   "them, or as 1 and 1.0 do; they count as the same class.")  # fmt: skip
    names = sorted({t for t in texts if t is not None}, key=_natural)
    for doubt in label_sets.doubts(names, column):
        notes.warn(doubt)
    number = {t: i for i, t in enumerate(names)}
    return np.asarray([-1 if t is None else number[t] for t in texts], np.int64), tuple(names)


def _filled(cells: Sequence[Any]) -> list[Any]:
    """The cells, with None for those that hold nothing."""
    return [None if _empty(v) else v for v in cells]


def _as_text(cell: Any) -> Any:
    """Bytes as text, where they are."""
    if not isinstance(cell, bytes):
        return cell
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell


def _empty(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
    )


def _natural(text: str) -> tuple[int, float, str]:
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    return (0, number, text) if math.isfinite(number) else (1, 0.0, text)


def take_scores(raw: Raw, name: str | None, notes: Findings) -> np.ndarray | None:
    """How alike the two sides of each row are, float64 (N,), NaN where none is said; None where no column was named.

    Raises
    ------
    UnknownName, DataError
        There is no such column, or it holds no numbers.
    """
    if name is None:
        return None
    if name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--score")
    found = numeric(raw.columns.pop(name))
    if not isinstance(found, Numeric):
        raise DataError(f"the column {name!r} {found or 'holds no numbers'}.", where="--score")
    scores = np.where(np.isfinite(found.values), found.values, np.nan)
    if len(none := np.flatnonzero(np.isnan(scores))):
        first = listed([str(raw.names[int(i)]) for i in none])
        notes.warn(f"Scores: none in {len(none):,} of {len(scores):,} rows ({first}); scored pairs are the others.")
    return scores


def take_sets(raw: Raw, name: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Which set each row is of, int64 (N,), and the names of the sets; None where no column was named.

    Raises
    ------
    UnknownName, DataError
        There is no such column, or a row is of no set.
    """
    if name is None:
        return None, ()
    if name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="data.sets")
    number, names = _encoded(raw.columns.pop(name), raw.classes.get(name), name, Findings())
    if (number < 0).any():
        raise DataError(f"{int((number < 0).sum())} rows are of no set.", where=f"data.sets={name}")
    return number, names


@dataclass(frozen=True)
class Said:
    """What other columns say of the rows; the fields are those of `nearfar.data.table.Table`."""

    labels: np.ndarray | None
    label_names: tuple[str, ...]
    scores: np.ndarray | None
    sets: np.ndarray | None
    set_names: tuple[str, ...]
    groups: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> Said:
        """The same of some of the rows only."""
        names = ("labels", "scores", "sets", "groups")
        of_row = {n: v if v is None else v[rows] for n in names for v in (getattr(self, n),)}
        return replace(self, **of_row)


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
    new = {s: np.searchsorted(rows, r) for s, r in kept.items()} if splits else {}
    return smaller, new, rows
