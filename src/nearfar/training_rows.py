"""Which rows a model was trained on, told by their content: beside other data they must not pass for new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfar import files
from nearfar.data.table import Table

FILE = "rows.safetensors"
ROWS, COLUMN = "rows", "column."


@dataclass(frozen=True)
class TrainingRows:
    """Hashes of the content of the rows that a model was trained on.

    Parameters
    ----------
    rows : ndarray of uint64
        Of whole rows, sorted, each once.
    columns : mapping of str to ndarray of uint64
        The same of each column's cells.
    """

    rows: np.ndarray
    columns: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, table: Table, rows: np.ndarray) -> TrainingRows:
        """Those of some rows of a table."""
        columns = {n: np.unique(c.hashes[rows]) for n, c in table.columns.items()}
        return cls(np.unique(_hashes(table)[rows]), columns)

    @classmethod
    def together(cls, parts: Sequence[TrainingRows | None]) -> TrainingRows | None:
        """Those of several models; None where one of them is not known."""
        known = [p for p in parts if p is not None]
        if len(known) < len(parts):
            return None
        names = dict.fromkeys(n for p in known for n in p.columns)
        columns = {n: _union([p.columns[n] for p in known if n in p.columns]) for n in names}
        return cls(_union([p.rows for p in known]), columns)

    def among(self, table: Table) -> np.ndarray:
        """Whether each row of a table was trained on, bool (N,).

        Of a table with fewer columns, a row counts as trained on where each of its cells was.
        """
        if len(table.columns) == len(self.columns):
            return np.isin(_hashes(table), self.rows)
        found = np.ones(len(table), bool)
        for name, column in table.columns.items():
            found &= np.isin(column.hashes, self.columns.get(name, self.rows[:0]))
        return found

    def save(self, folder: Path) -> None:
        """Write them into a run folder, 8 bytes a row and column."""
        import torch

        named = {COLUMN + n: h for n, h in self.columns.items()} | ({ROWS: self.rows} if len(self.columns) > 1 else {})
        files.save_tensors(folder / FILE, {n: torch.from_numpy(h.view(np.int64)) for n, h in named.items()}, {})

    @classmethod
    def load(cls, folder: Path) -> TrainingRows | None:
        """What `save` wrote; None where a run of an earlier version has no such file."""
        if not (folder / FILE).exists():
            return None
        found = {n: t.numpy().view(np.uint64) for n, t in files.load_tensors(folder / FILE)[0].items()}
        rows = found.pop(ROWS, None)
        columns = {n.removeprefix(COLUMN): h for n, h in found.items()}
        return cls(next(iter(columns.values())) if rows is None else rows, columns)


def _hashes(table: Table) -> np.ndarray:
    return table.hashes if len(table.columns) > 1 else table.first.hashes


def _union(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(parts))
