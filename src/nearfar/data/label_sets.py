"""Labels that are lists: several classes of one row."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.errors import DataError

SEVERAL = (list, tuple, set, frozenset, dict, np.ndarray)
OPENS = ("[", "(", "{")
ITEM = r"(?:'[^']*'|\"[^\"]*\"|-?[\d.]+)"
PRINTED = re.compile(rf"\[\s*(?:{ITEM}\s+)+{ITEM}\s*\]")  # an array of NumPy, which has no commas


def first(cells: Sequence[Any]) -> str | None:
    """The first cell that holds several labels, in short; None where each holds one or none."""
    return next((_short(cell) for cell in cells if len(several(cell) or ()) > 1), None)


def single(cells: Sequence[Any], column: str) -> list[Any]:
    """The label of each cell: of a list of one, that one; of an empty list none.

    Raises
    ------
    DataError
        A cell holds several labels.
    """
    if (found := first(cells)) is not None:
        raise DataError(
            f"the column {column!r} holds several labels in a cell, such as {found}; a row has one class.",
            hint="Bring a column with one class a row.",
        )
    lists = [several(cell) for cell in cells]
    return [cell if own is None else own[0] if own else None for cell, own in zip(cells, lists, strict=True)]


def several(cell: Any) -> list[Any] | None:
    """The labels in a cell that is a list of some, or its text (``['a', 'b']``, ``["a"]``); None for one label."""
    if isinstance(cell, SEVERAL):
        return np.asarray(cell).reshape(-1).tolist() if isinstance(cell, np.ndarray) else list(cell)
    if not isinstance(cell, str) or not cell.strip().startswith(OPENS):
        return None
    if PRINTED.fullmatch(cell.strip()):
        return [item.strip("'\"") for item in re.findall(ITEM, cell)]
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        return list(found) if isinstance(found, SEVERAL) else None
    return None


def _short(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 60 else f"{text[:59]}…"
