"""A column of times as seconds: numbers as they are, dates and texts such as ``2021-05-03T10:00:00`` since 1970."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, cell_or_error
from nearfar.core.names import printable
from nearfar.data.numeric import Numeric, numeric


def seconds(cells: Any, name: str) -> np.ndarray:
    """Times in the unit of a column of numbers, else in seconds since 1970 (UTC where no zone is said).

    Parameters
    ----------
    cells : sequence
        Numbers, dates, or texts in ISO 8601.
    name : str
        Of the column, for errors.

    Returns
    -------
    ndarray of float64 (N,)
        NaN where there is no time.

    Raises
    ------
    DataError
        A cell is neither.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return np.where(np.isnat(cells), np.nan, cells.astype("datetime64[us]").astype(np.int64) / 1e6)
    numbers = numeric(cells)
    if isinstance(numbers, Numeric):
        return np.where(np.isfinite(numbers.values), numbers.values, np.nan)
    if isinstance(numbers, str):
        raise DataError(f"the column {name!r} {numbers}.", where="--time")
    return np.fromiter((_second(cell_or_error(cells, i), name) for i in range(len(cells))), np.float64, len(cells))


def _second(cell: Any, name: str) -> float:
    if isinstance(cell, str):
        cell = cell.strip()
    if cell is None or cell == "" or isinstance(cell, BadCell) or cell != cell:
        return float("nan")
    if isinstance(cell, str):
        with suppress(ValueError):
            cell = datetime.fromisoformat(cell)
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    if not isinstance(cell, datetime):
        raise DataError(
            f"the column {name!r} holds {printable(str(cell))!r}, which is no time.", where="--time",
            hint="Times are numbers, or written like 2021-05-03 10:00:00.",
        )  # fmt: skip
    return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
