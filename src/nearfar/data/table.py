"""The table: columns of plain arrays with the names, labels and splits of their rows.

Nothing downstream of here knows a container format; nothing here knows a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import UnknownName
from nearfar.core.registry import MODALITIES
from nearfar.data.readers.raw import Picked

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
        Often memory-mapped: images are uint8 (N, C, S, S), vectors float32 (N, F). A
        `nearfar.data.decoding.streaming.Streamed` stands here where rows are decoded while training.
    geometry : ndarray or None, shape (N, 2)
        Images: original height and width, in pixels.
    hashes : ndarray of uint64 or None, shape (N,)
        Hash of each decoded value: equal values have equal hashes.
    cells : sequence, optional
        What was decoded, to be shown or decoded for another model; of numbers that are kept as they are, none.
    lengths : ndarray of int32 or None, shape (N,)
        Texts: how many tokens each has; one more than are kept stands for any more.
    """

    name: str
    modality: str
    spec: Mapping[str, Any]
    values: Any
    geometry: np.ndarray | None = None
    hashes: np.ndarray | None = None
    cells: Any = None
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def texts(self) -> Any:
        """Its cells where they are texts."""
        return self.cells if self.modality == "text" else None

    def shown(self, row: int, width: int = 80) -> str:
        """A text of at most `width` characters in one line; nothing for what is no text."""
        if self.texts is None:
            return ""
        text = " ".join(str(self.cells[row]).split())
        return text if len(text) <= width else f"{text[: width - 1]}…"

    def too_long(self, most: int | None = None) -> str | None:
        """A sentence about rows of which no more than the beginning is read, or None where there are none.

        `most` is what an encoder takes, where that is less than what is kept.
        """
        if self.lengths is None:
            return None
        kept = self.spec["length"]
        return MODALITIES.get(self.modality).too_long(self.name, self.lengths, min(most or kept, kept))

    def of(self, rows: np.ndarray) -> Column:
        """Some of its rows."""
        geometry, hashes, lengths = (None if a is None else a[rows] for a in (self.geometry, self.hashes, self.lengths))
        cells = None if self.cells is None else Picked(self.cells, rows)
        values = some_rows(self.values, rows)
        return replace(self, values=values, geometry=geometry, hashes=hashes, lengths=lengths, cells=cells)

    def take(self, rows: np.ndarray, device: str | torch.device = "cpu") -> tuple[torch.Tensor, Any]:
        """Values (B, ...) and geometry (B, 2) or None of the given rows, as tensors on `device`."""
        return _taken(self.values, rows, device), None if self.geometry is None else _taken(self.geometry, rows, device)

    @property
    def streams(self) -> bool:
        """Whether rows are decoded when they are asked for."""
        return hasattr(self.values, "expecting")

    @property
    def blocks(self) -> Any:
        """Rows that are read together (`Blocks` of decoding/streaming.py), or None where that does not matter."""
        return getattr(self.values, "blocks", None)

    def expecting(self, upcoming: Callable[[], Iterable[np.ndarray]]) -> AbstractContextManager[None]:
        """Within this context the batches of rows that `upcoming` gives are made ready ahead of their `take`."""
        return self.values.expecting(upcoming()) if self.streams else nullcontext()

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
    taken = torch.from_numpy(np.ascontiguousarray(array[rows]))
    if torch.device(device).type == "cuda":
        taken = taken.pin_memory()  # only from there does the copy run beside the computation
    return taken.to(device, non_blocking=True)


class Rows:
    """Some rows of an array, a row perhaps several times, without a copy of them."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self.array, self.rows = array, rows
        self.shape, self.dtype, self.ndim = (len(rows), *array.shape[1:]), array.dtype, array.ndim
        self.nbytes = len(rows) * (array.nbytes // max(1, len(array)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.array[self.rows[index]]

    def some(self, rows: np.ndarray) -> Rows:
        """Some of these rows."""
        return Rows(self.array, self.rows[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def some_rows(values: Any, rows: np.ndarray) -> Any:
    """Rows of a column's values, in whichever form those are; memory-mapped and streamed ones are not copied."""
    if hasattr(values, "some"):
        return values.some(rows)
    return Rows(values, rows) if isinstance(values, np.memmap) else values[rows]


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
    scores : ndarray of float64 or None, shape (N,)
        How alike the two sides of each row are, NaN where nothing is said.
    sets : ndarray of int64 or None, shape (N,)
        Which set each row is of.
    set_names : tuple of str
    groups : ndarray of int64 or None, shape (N,)
        Rows of equal number are never on two sides of a split, see `nearfar.data.groups`; negative ones are each
        their own.
    within : ndarray of int64 or None, shape (N,)
        Rows of different numbers are no negatives of each other.
    negatives : mapping of str to Column
        Columns of hard negatives of each row, of equal length N.
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
    scores: np.ndarray | None = None
    sets: np.ndarray | None = None
    set_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    within: np.ndarray | None = None
    negatives: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def column(self, name: str) -> Column:
        """The column called `name`; raises `UnknownName` with the nearest name where there is none."""
        if name not in self.columns:
            raise UnknownName("column", name, self.columns)
        return self.columns[name]

    @property
    def kinds(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Modality and spec of every column."""
        return {name: (c.modality, c.spec) for name, c in self.columns.items()}

    @property
    def first(self) -> Column:
        """The first column (the only one, unless the data are pairs)."""
        return next(iter(self.columns.values()))
