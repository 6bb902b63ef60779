"""What people should know of data before they believe a figure: skipped rows, duplicates, how even the classes are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from nearfar.data.table import Skipped, Table

FEW = 100  # labelled rows; below, labels may well be all different
UNIQUE = 0.9  # values for each labelled row: names of rows, not of classes
LEVELS = 20  # numbers with fractions; marks and ratings have fewer
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
MANY, REPEATED = 1000, 0.2  # classes, and values for each row, that are doubted where nobody named the column


def duplicates(table: Table, parts: dict[str, np.ndarray]) -> dict[str, int]:
    """Rows whose content another row has as well, to the bit; the first of the parts is learnt from.

    ``"train"``: rows of that part that repeat an earlier one of it; ``"test in train"``: rows of the part ``test`` that
    are among the rows of the first.
    """
    first, *others = parts
    known = table.hashes[parts[first]]
    repeats = {name: len(rows) - len(np.unique(table.hashes[rows])) for name, rows in parts.items()}
    return repeats | {f"{name} in {first}": int(np.isin(table.hashes[parts[name]], known).sum()) for name in others}


def about_duplicates(table: Table, train: np.ndarray, heldout: np.ndarray) -> str:
    """Exact duplicates among the rows that are trained on, and of them in every other split."""
    parts = {"train": train} | {s: r for s, r in table.splits.items() if not np.isin(r[:1], train).any()}
    if len(heldout) and not table.splits:
        parts["held out"] = heldout
    counts = {name: n for name, n in duplicates(table, parts).items() if n}
    if not counts:
        return "Duplicates: none among the rows, nor across splits."
    said = [f"{n:,} {name}" if " in " in name else f"{n:,} within {name}" for name, n in counts.items()]
    return f"Duplicates, equal to the bit: {', '.join(said)}; they stay."


def balance(table: Table, rows: np.ndarray) -> str | None:
    """The largest and the smallest class among the rows, and their ratio; None without two classes."""
    if table.labels is None:
        return None
    counts = np.bincount(table.labels[rows][table.labels[rows] >= 0], minlength=len(table.label_names))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return None
    large, small = present[counts[present].argmax()], present[::-1][counts[present][::-1].argmin()]
    absent = len(counts) - len(present)
    if counts[large] == counts[small] and not absent:
        return f"Classes: {len(present)} with {counts[large]:,} row{'s' * bool(counts[large] > 1)} each."
    return (
        f"Classes: the largest is {table.label_names[large]!r} with {counts[large]:,} rows, the smallest "
        f"{table.label_names[small]!r} with {counts[small]:,}; ratio {counts[large] / counts[small]:.3g}"
        + (f"; {absent} have none here." if absent else ".")
    )


def identifier(table: Table, *, asked: bool) -> str | None:
    """That labels look like names of rows, as a sentence without its full stop; None where they do not.

    Where the user has named their column, `asked`, many small classes are believed.
    """
    classes, known = len(table.label_names), 0 if table.labels is None else int((table.labels >= 0).sum())
    unique = known >= FEW and classes > UNIQUE * known
    where = f"column {table.source['label']!r}" if table.source.get("label") else "column of the labels"
    if not asked and measured(table.label_names):
        some = ", ".join(table.label_names[:3])
        return f"the {where} has {classes:,} different numbers ({some} …) and looks measured"
    if not (unique or (not asked and classes >= MANY and classes > REPEATED * known)):
        return None
    return f"the {where} has {classes:,} different values in {known:,} rows and looks like an identifier"


def measured(names: Sequence[str]) -> bool:
    """Whether labels are many numbers with fractions, as of something measured."""
    return len(names) > LEVELS and all(map(NUMBER.fullmatch, names)) and any(not float(n).is_integer() for n in names)


def about_skipped(skipped: Sequence[Skipped], shown: int = 5) -> str:
    """How many rows could not be read, and the first of them by name and reason."""
    listed = "; ".join(f"{s.name} {s.reason}" for s in skipped[:shown])
    more = f"; and {len(skipped) - shown:,} more" if len(skipped) > shown else ""
    return f"Skipped: {len(skipped):,} unreadable row{'s' if len(skipped) > 1 else ''} ({listed}{more})."
