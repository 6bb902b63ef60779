"""The table: columns of plain arrays with the names, labels and splits of their rows.

Nothing downstream of here knows a container format; nothing here knows a method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import UnknownName

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Skipped:
    """A row that could not be used: which, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One column of the user's data, decoded.

    Parameters
    ----------
    name : str
        As in the user's data; the only column of a folder of pictures is ``"image"``.
    modality : str
        Name of a module in ``nearfar.modalities``.
    spec : mapping
        What that modality needs to know to decode, view and encode it again (JSON values only).
        It is stored in the run.
    values : ndarray, shape (N, ...)
        Often memory-mapped: images are uint8 (N, C, S, S), vectors float32 (N, F).
    geometry : ndarray or None, shape (N, 2)
        Images: original height and width, in pixels.
    """

    name: str
    modality: str
    spec: Mapping[str, Any]
    values: np.ndarray
    geometry: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray, device: str | torch.device = "cpu") -> tuple[torch.Tensor, Any]:
        """Values (B, ...) and geometry (B, 2) or None of the given rows, as tensors on `device`."""
        return _taken(self.values, rows, device), None if self.geometry is None else _taken(self.geometry, rows, device)

    def to(self, device: str | torch.device) -> Column:
        """The whole column on a device."""
        import torch

        def move(array: Any) -> Any:
            return None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(device)

        return replace(self, values=move(self.values), geometry=move(self.geometry))


def _taken(array: Any, rows: np.ndarray, device: str | torch.device) -> torch.Tensor:
    import torch

    if isinstance(array, torch.Tensor):
        return array[torch.from_numpy(rows).to(array.device, non_blocking=True)]
    return torch.from_numpy(np.ascontiguousarray(array[rows])).to(device, non_blocking=True)


@dataclass(frozen=True)
class Table:
    """Rows of the user's data.

    Parameters
    ----------
    columns : mapping of str to Column
        All of equal length N.
    names : sequence of str
        Where each row came from: a relative path, or ``file.csv:17``.
    labels : ndarray of int64 or None, shape (N,)
        Class per row, -1 where there is none.
    label_names : tuple of str
        Name of each class.
    splits : mapping of str to ndarray of int64
        Row numbers by split name (``train``, ``validation``, ``test``); empty where the data have no splits.
    hashes : ndarray of uint64, shape (N,)
        Hash of each row's decoded content: equal rows have equal hashes, in every split.
    skipped : tuple of Skipped
        Rows that could not be used.
    source : mapping
        What to pass to `nearfar.data.read.read` to get this table again (JSON values only).
    fingerprint : str
        Hash of all the decoded content.
    """

    columns: Mapping[str, Column]
    names: Sequence[str]
    hashes: np.ndarray
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    splits: Mapping[str, np.ndarray] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def column(self, name: str) -> Column:
        """The column called `name`; raises `UnknownName` with the nearest name where there is none."""
        if name not in self.columns:
            raise UnknownName("column", name, self.columns)
        return self.columns[name]

    @property
    def first(self) -> Column:
        """The first column (the only one, unless the data are pairs)."""
        return next(iter(self.columns.values()))
