"""Cells that hold several texts, such as five captions of one picture: each text becomes a row of its own.

Everything else of the row is decoded once and stands beside each of its texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.core.errors import DataError, cell_or_error
from nearfar.data.decoding.workers import Decoded
from nearfar.data.readers.raw import Raw
from nearfar.data.table import Rows, some_rows
from nearfar.data.windows import Windows

SAMPLE = 32  # cells that are looked at where a look is dear


@dataclass(frozen=True)
class Texts(Sequence):
    """The texts of cells that hold lists of them, one after the other; None for a cell without any."""

    cells: Sequence[Any]
    owner: np.ndarray  # the cell of each text
    place: np.ndarray  # and where it stands in there

    def __len__(self) -> int:
        return len(self.owner)

    def __getitem__(self, index: int) -> Any:
        cell = self.cells[int(self.owner[index])]
        if not _several(cell):
            return cell
        return cell[int(self.place[index])] if cell else None

    def named(self, names: Sequence[str]) -> Sequence[str]:
        """What the texts of cells of these names are called."""
        return Names(names, self)


@dataclass(frozen=True)
class Names(Sequence):
    """Names of the rows that cells with several texts become: ``captions.jsonl:3 (2)``."""

    names: Sequence[str]
    texts: Texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> str:
        return f"{self.names[int(self.texts.owner[index])]} ({int(self.texts.place[index]) + 1})"


def _several(cell: Any) -> bool:
    """Whether a cell is a list of texts; one of numbers or of lists is refused where it is decoded."""
    return isinstance(cell, list | tuple) and all(t is None or isinstance(t, str) for t in cell)


def texts_of(columns: dict[str, tuple[str, Any]]) -> tuple[str, Texts] | None:
    """The column of texts whose cells hold several, and these one after the other; None where there is none."""
    lists = []
    for name, (kind, cells) in columns.items():
        if kind == "text" and not isinstance(cells, np.ndarray):
            step = 1 if isinstance(cells, list) else max(1, len(cells) // SAMPLE)
            some = (cell_or_error(cells, i) for i in range(0, len(cells), step))
            lists += [name] if any(_several(cell) and len(cell) > 0 for cell in some) else []
    if not lists:
        return None
    if len(lists) > 1:
        raise DataError(
            f"the columns {' and '.join(lists)} both hold lists of texts, and which belong together is not said.",
            hint="Give each pair of texts a row of its own.",
        )
    cells = columns[lists[0]][1]
    all_ = (cell_or_error(cells, i) for i in range(len(cells)))
    counts = np.fromiter((max(1, len(cell)) if _several(cell) else 1 for cell in all_), np.int64, len(cells))
    owner = np.repeat(np.arange(len(cells)), counts)
    return lists[0], Texts(cells, owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner])


def raw_of(raw: Raw, texts: Texts | Windows) -> Raw:
    """The same data with one row for each text, or window; its columns are left as they are."""
    bad = {i: raw.bad[int(o)] for i, o in enumerate(texts.owner) if int(o) in raw.bad} if raw.bad else {}
    return replace(raw, names=texts.named(raw.names), bad=bad)


def beside(d: Decoded, texts: Texts) -> Decoded:
    """What was decoded once a cell, beside each of its texts, without a copy."""
    owner = texts.owner
    return d.of(owner, Rows(d.values, owner) if isinstance(d.values, np.ndarray) else some_rows(d.values, owner))
