"""Hard negatives: cells that resemble the other side of a row and do not belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.data.table import Column

NOBODY = -1  # the number of cells that are no row's side


@dataclass(frozen=True)
class Hard:
    """One hard negative of every row.

    Parameters
    ----------
    column : Column
        Where the cells are taken from.
    side : str
        The column whose encoder they go through.
    rows : ndarray of int64 (N_table,)
        For each row of the table the row of `column` that is its negative.
    ignore : ndarray of int64 (N_table,) or (N_table, columns)
        For each row of the table, which number its negative has among those of `Viewer.ignore`: to rows with the same
        number it is no negative, since they hold the same cell.
    """

    column: Column
    side: str
    rows: np.ndarray
    ignore: np.ndarray


def of_columns(columns: Mapping[str, Column], sides: Mapping[str, Column], ignore: np.ndarray) -> list[Hard]:
    """The hard negatives that columns of the user's data hold, cell by cell.

    Parameters
    ----------
    columns, sides : mapping of str to Column
        Columns of negatives, and those of the sides of a row.
    ignore : ndarray of int64 (N_table,) or (N_table, columns)
        Rows of equal number are no negatives of each other.

    Raises
    ------
    ConfigError
        A column holds another modality than any side.
    """
    found = []
    for name, column in columns.items():
        like = [n for n, s in sides.items() if (s.modality, s.spec) == (column.modality, column.spec)]
        if not like:
            kinds = ", ".join(dict.fromkeys(s.modality for s in sides.values()))
            raise ConfigError(
                f"the column {name!r} holds {column.modality} and can be no negative of {kinds}.", where="data.negative"
            )
        equal = _first_equal(column, sides[like[-1]])
        number = ignore[equal]
        number[equal < 0] = NOBODY
        found.append(Hard(column, like[-1], np.arange(len(column)), number))
    return found


def of_rows(column: Column, rows: np.ndarray, ignore: np.ndarray) -> list[Hard]:
    """The hard negatives that are cells of the same column in other rows, int64 (N_table, K)."""
    return [Hard(column, column.name, r, ignore[r]) for r in rows.T]


def _first_equal(column: Column, side: Column) -> np.ndarray:
    """For each cell of `column` the first row whose cell of `side` is equal, −1 where there is none."""
    if column.hashes is None or side.hashes is None:
        return np.full(len(column), NOBODY)
    known, first = np.unique(side.hashes, return_index=True)
    place = np.searchsorted(known, column.hashes).clip(max=len(known) - 1)
    return np.where(known[place] == column.hashes, first[place], NOBODY)


def about(found: Sequence[Hard]) -> str:
    """What to say before training of those that columns hold."""
    return "Hard negatives: " + ", ".join(f"{h.column.name!r} as {h.side!r}" for h in found) + "."
