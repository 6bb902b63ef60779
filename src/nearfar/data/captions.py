"""Cells that hold several texts, such as five captions of one picture: each text becomes a row of its own.

Everything else of the row is decoded once and stands beside each of its texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.core.errors import DataError, cell_or_error
from nearfar.data.decoding.decode import Decoded
from nearfar.data.readers.raw import Raw
from nearfar.data.table import Rows, some_rows

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


@dataclass(frozen=True)
class Names(Sequence):
    """Names of the rows that cells with several texts become: ``captions.jsonl:3 (2)``."""

    names: Sequence[str]
    texts: Texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> str:
        return f"{self.names[int(self.texts.owner[index])]} ({int(self.texts.place[index]) + 1})"


def texts_of(columns: dict[str, tuple[str, Any]]) -> tuple[str, Texts] | None:
    """The column of texts whose cells hold several, and these one after the other; None where there is none.

    Raises
    ------
    DataError
        Two columns are of that kind: which text belongs to which is not said.
    """
    found = [name for name, (kind, cells) in columns.items() if kind == "text" and _holds_lists(cells)]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(
            f"the columns {' and '.join(found)} both hold lists of texts, and which belong together is not said.",
            hint="Give each pair of texts a row of its own.",
        )
    cells = columns[found[0]][1]
    counts = np.fromiter((_count(cells, i) for i in range(len(cells))), np.int64, len(cells))
    ends = np.cumsum(counts)
    owner = np.repeat(np.arange(len(cells)), counts)
    return found[0], Texts(cells, owner, np.arange(len(owner)) - (ends - counts)[owner])


def _holds_lists(cells: Any) -> bool:
    if isinstance(cells, np.ndarray):
        return False
    looked_at = range(len(cells)) if isinstance(cells, list) else range(0, len(cells), max(1, len(cells) // SAMPLE))
    return any(_several(cell) and len(cell) > 0 for i in looked_at for cell in (cell_or_error(cells, i),))


def _several(cell: Any) -> bool:
    """Whether a cell is a list of texts; one of numbers or of lists is refused where it is decoded."""
    return isinstance(cell, list | tuple) and all(t is None or isinstance(t, str) for t in cell)


def _count(cells: Any, i: int) -> int:
    cell = cell_or_error(cells, i)
    return max(1, len(cell)) if _several(cell) else 1


def about(name: str, texts: Texts) -> str:
    """A sentence for people."""
    rows = len(texts.cells)
    return (
        f"Several texts: {name!r} holds {len(texts) / rows:.1f} a row; each is a row of its own, "
        f"{len(texts):,} in all from {rows:,}."
    )


def raw_of(raw: Raw, texts: Texts) -> Raw:
    """The same data with one row for each text; its columns are left as they are."""
    bad = {i: raw.bad[int(o)] for i, o in enumerate(texts.owner) if int(o) in raw.bad} if raw.bad else {}
    return replace(raw, names=Names(raw.names, texts), bad=bad)


def beside(d: Decoded, texts: Texts) -> Decoded:
    """What was decoded once a cell, beside each of its texts, without a copy."""
    owner = texts.owner
    return d.of(owner, Rows(d.values, owner) if isinstance(d.values, np.ndarray) else some_rows(d.values, owner))


def splits_of(splits: dict[str, np.ndarray], texts: Texts) -> dict[str, np.ndarray]:
    """Row numbers by split, of the rows that the texts become."""
    return {name: np.flatnonzero(np.isin(texts.owner, rows)) for name, rows in splits.items()}
