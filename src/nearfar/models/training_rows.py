"""Which rows a model was trained on, known by their content: among other data they must not pass for new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfar.core import files
from nearfar.core.errors import RunError
from nearfar.data.table import Column, Table

if TYPE_CHECKING:
    import torch

FILE = "rows.safetensors"
ROWS, COLUMN, TAUGHT = "rows", "column.", "taught"
NONE = np.zeros(0, np.uint64)


@dataclass(frozen=True)
class TrainingRows:
    """Hashes of the content of the rows that a model was trained on.

    Parameters
    ----------
    rows : ndarray of uint64
        Of whole rows, sorted, each once.
    columns : mapping of str to ndarray of uint64
        The same of each column's cells.
    taught : ndarray of uint64
        Cells of any column with which the model learnt something else: a label, or another column's cell. Of what it
        learnt so, it knows more than of new rows.
    """

    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    taught: np.ndarray = field(default_factory=lambda: NONE)

    @classmethod
    def of(cls, table: Table, rows: np.ndarray, taught: np.ndarray | None = None) -> TrainingRows:
        """Those of some rows of a table, of which the rows `taught` were learnt with something else."""
        columns = {n: np.unique(c.hashes[rows]) for n, c in table.columns.items()}
        learnt = [] if taught is None else [c.hashes[taught] for c in table.columns.values()]
        return cls(np.unique(_hashes(table)[rows]), columns, _union(learnt))

    def after(self, earlier: Sequence[TrainingRows | None]) -> TrainingRows:
        """These, of a model that began with the weights of others, or was taught by them."""
        return replace(self, taught=_union([self.taught, *(e.taught for e in earlier if e is not None)]))

    @classmethod
    def together(cls, parts: Sequence[TrainingRows | None]) -> TrainingRows | None:
        """Those of several models; None where one of them is not known."""
        if None in parts:
            return None
        names = dict.fromkeys(n for p in parts for n in p.columns)
        columns = {n: _union([p.columns[n] for p in parts if n in p.columns]) for n in names}
        return cls(_union([p.rows for p in parts]), columns, _union([p.taught for p in parts]))

    def among(self, table: Table) -> np.ndarray:
        """Whether each row of a table was trained on, bool (N,).

        Of a table with fewer columns, a row counts as trained on where each of its cells was.
        """
        # Whole rows are known where all columns are there: a cell may come in several rows.
        if len(table.columns) == len(self.columns):
            return np.isin(_hashes(table), self.rows)
        cells = [np.isin(column.hashes, self.columns.get(name, NONE)) for name, column in table.columns.items()]
        return np.logical_and.reduce(cells)

    def teach(self, column: Column) -> np.ndarray:
        """Whether each cell of a column is among the `taught`, bool (N,); of an ensemble, as any member reads it."""
        # Cells are hashed as they are decoded, so that members with other tokenisers have other hashes of a text.
        readings = (column, *getattr(column, "others", ()))
        return np.logical_or.reduce([np.isin(c.hashes, self.taught) for c in readings])

    def save(self, folder: Path) -> None:
        """Write them into a run folder, 8 bytes a row and column."""
        import torch

        named = {COLUMN + n: h for n, h in self.columns.items()}
        # Of one column the rows are its cells, which are not written twice.
        named |= {ROWS: self.rows} if len(self.columns) > 1 else {}
        named |= {TAUGHT: self.taught} if len(self.taught) else {}
        files.save_tensors(folder / FILE, {n: torch.from_numpy(h.view(np.int64)) for n, h in named.items()}, {})

    @classmethod
    def load(cls, folder: Path) -> TrainingRows | None:
        """What `save` wrote; None where a run of an earlier version has no such file.

        Raises
        ------
        RunError
            It is damaged, or holds something else.
        """
        file = folder / FILE
        if not file.exists():
            return None

        def check(header: Mapping[str, torch.Tensor]) -> None:
            for name, tensor in header.items():
                named = name in (ROWS, TAUGHT) or name.startswith(COLUMN)
                if not named or str(tensor.dtype) != "torch.int64" or tensor.ndim != 1:
                    raise RunError(f"holds {name}, which are not hashes of rows.", where=str(file))
            if not any(name.startswith(COLUMN) for name in header):
                raise RunError("holds the rows of no column.", where=str(file))

        stored = {n: t.numpy().view(np.uint64) for n, t in files.load_tensors(file, check)[0].items()}
        rows, taught = stored.pop(ROWS, None), stored.pop(TAUGHT, NONE)
        columns = {n.removeprefix(COLUMN): h for n, h in stored.items()}
        return cls(next(iter(columns.values())) if rows is None else rows, columns, taught)


def _hashes(table: Table) -> np.ndarray:
    return table.hashes if len(table.columns) > 1 else table.first.hashes


def _union(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([NONE, *parts]))
