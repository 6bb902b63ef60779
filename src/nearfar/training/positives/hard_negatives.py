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
    """One hard negative of every row of the table."""

    column: Column  # where the cells are taken from
    side: str  # the column whose encoder they go through
    rows: np.ndarray  # int64 (N_table,): the row of `column` that is the negative
    # int64 (N_table,) or (N_table, columns): the number of the negative among those of `Viewer.ignore`. To rows with
    # the same number it is no negative, since they hold the same cell.
    ignore: np.ndarray


def of_columns(columns: Mapping[str, Column], sides: Mapping[str, Column], ignore: np.ndarray) -> list[Hard]:
    """The hard negatives that columns of the user's data hold, cell by cell; `ignore` is that of `Viewer`."""
    hard = []
    for name, column in columns.items():
        like = [n for n, s in sides.items() if (s.modality, s.spec) == (column.modality, column.spec)]
        if not like:
            kinds = ", ".join(dict.fromkeys(s.modality for s in sides.values()))
            said = f"the column {name!r} holds {column.modality} and can be no negative of {kinds}."
            raise ConfigError(said, where="data.negative")
        side, equal = sides[like[-1]], np.full(len(column), NOBODY)
        if column.hashes is not None and side.hashes is not None:
            # For each cell the first row whose own side is equal to it.
            known, first = np.unique(side.hashes, return_index=True)
            place = np.searchsorted(known, column.hashes).clip(max=len(known) - 1)
            equal = np.where(known[place] == column.hashes, first[place], NOBODY)
        number = ignore[equal]
        number[equal < 0] = NOBODY
        hard.append(Hard(column, like[-1], np.arange(len(column)), number))
    return hard


def of_rows(column: Column, rows: np.ndarray, ignore: np.ndarray) -> list[Hard]:
    """The hard negatives that are cells of the same column in other rows, int64 (N_table, K)."""
    return [Hard(column, column.name, r, ignore[r]) for r in rows.T]


def about(hard: Sequence[Hard]) -> str:
    """What to say before training of those that columns hold."""
    return "Hard negatives: " + ", ".join(f"{h.column.name!r} as {h.side!r}" for h in hard) + "."
