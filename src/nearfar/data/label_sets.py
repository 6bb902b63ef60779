"""Labels that are lists: several classes of one row."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.opposites import plain

SEVERAL = (list, tuple, set, frozenset, dict, np.ndarray)
LETTER = re.compile(r"[^\W\d_]")
ITEM = r"(?:'[^']*'|\"[^\"]*\"|-?[\d.]+)"
PRINTED = re.compile(rf"\[\s*(?:{ITEM}\s+)+{ITEM}\s*\]")  # an array of NumPy, which has no commas


def first(cells: Sequence[Any]) -> str | None:
    """The first cell that holds several labels, in short; None where each holds one or none."""
    return next((_short(cell) for cell in cells if len(several(cell) or ()) > 1), None)


def single(cells: Sequence[Any], column: str) -> list[Any]:
    """The label of each cell: of a list of one, that one; of an empty list none; a `DataError` for several."""
    if (lists := first(cells)) is not None:
        raise DataError(
            f"the column {column!r} holds several labels in a cell, such as {lists}; a row has one class.",
            hint="Bring a column with one class a row.",
        )
    return [cell if (own := several(cell)) is None else own[0] if own else None for cell in cells]


def several(cell: Any) -> list[Any] | None:
    """The labels in a cell that is a list of some, or its text (``['a', 'b']``, ``["a"]``); None for one label."""
    if isinstance(cell, dict):  # an object is no label: what it holds are several
        return [*cell, *cell.values()]
    if isinstance(cell, SEVERAL):
        labels = cell.reshape(-1).tolist() if isinstance(cell, np.ndarray) else list(cell)
        return several(labels[0]) if len(labels) == 1 and isinstance(labels[0], SEVERAL) else labels
    if not isinstance(cell, str) or not cell.strip().startswith(("[", "(", "{")):
        return None
    if PRINTED.fullmatch(cell.strip()):
        return [item.strip("'\"") for item in re.findall(ITEM, cell)]
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(cell.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        return several(value) if isinstance(value, SEVERAL) else None
    return None


def doubts(names: Sequence[str], column: str) -> list[str]:
    """What to say of names of classes that may be one class in two spellings, or several classes in one cell."""
    said: list[str] = []
    spelt: dict[str, list[str]] = {}
    for name in names:
        spelt.setdefault(plain(name) if LETTER.search(name) else name, []).append(name)
    if twice := [same for same in spelt.values() if len(same) > 1]:
        some = "; ".join(", ".join(map(repr, same[:3])) for same in twice[:3]) + (" …" if len(twice) > 3 else "")
        said.append(f"Labels: the column {column!r} has classes whose names are nearly the same ({some}); they count "
                    "as different ones.")  # fmt: skip
    for sign in ("|", ";"):
        parts = {n: [p.strip() for p in n.split(sign)] for n in names if sign in n}
        alone = Counter(p for of in (*parts.values(), *([n] for n in names if sign not in n)) for p in of if p)
        if parts and all(any(alone[p] > 1 for p in of) for of in parts.values()):
            said.append(f"Labels: {_short(next(iter(parts)))!r} of the column {column!r} looks like several labels in "
                        f"one cell; each of {len(parts):,} such combinations counts as a class.")  # fmt: skip
    return said


def _short(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 60 else f"{text[:59]}…"
