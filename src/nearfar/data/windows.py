"""Windows of long recordings: runs of one length that overlap, each of which is a row.

A window knows its recording, its start and its end; windows of one recording are one group, so that no two of them,
which may overlap, are on two sides of a split. Whatever modality says how long a cell is (``extent``) and what a part
of it is (``part``) can be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, ConfigError, cell_or_error
from nearfar.core.registry import MODALITIES
from nearfar.data.columns import Findings
from nearfar.data.readers.raw import Picked

FEW = 8  # recordings; fewer are cut where nobody says how
PARTS, SHORTEST, LONGEST = 8, 16, 256  # what "auto" windows are: an eighth of a recording, so many steps


@dataclass(frozen=True)
class Windows(Sequence):
    """Parts of cells, each fetched when it is asked for."""

    cells: Sequence[Any]
    owner: np.ndarray  # int64 (N,), the cell of each window
    start: np.ndarray  # int64 (N,), its first step there
    stop: np.ndarray  # int64 (N,), the step behind its last
    part: Callable[[Any, int, int], Any]
    said: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)  # by column, of each cell's steps

    def __len__(self) -> int:
        return len(self.owner)

    def __getitem__(self, index: int) -> Any:
        return self.part(self.cells[int(self.owner[index])], int(self.start[index]), int(self.stop[index]))

    def named(self, names: Sequence[str]) -> Sequence[str]:
        """What the windows of recordings of these names are called: ``pump.csv:100–199``."""
        return Names(names, self)


@dataclass(frozen=True)
class Names(Sequence):
    """Names of windows, by their first and last step."""

    names: Sequence[str]
    windows: Windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> str:
        w = self.windows
        return f"{self.names[int(w.owner[index])]}:{int(w.start[index])}–{int(w.stop[index]) - 1}"


def windows_of(cells: Any) -> Windows | None:
    """The windows that cells are, in the order of the cells; None where they are something else."""
    if isinstance(cells, Picked):
        inner = windows_of(cells.cells)
        return inner and replace(inner, **{k: getattr(inner, k)[cells.rows] for k in ("owner", "start", "stop")})
    return cells if isinstance(cells, Windows) else None


def cut(
    cells: Sequence[Any], kind: str, window: int | str | None, hop: int | str | None, notes: Findings, *,
    always: bool = False,
) -> tuple[Windows | None, int | None, int | None]:  # fmt: skip
    """The windows of cells of a modality, and their length and distance; None where the cells stay whole.

    "auto" leaves them whole unless they are fewer than 8. With `always`, whole ones are windows too.

    Raises
    ------
    ConfigError
        A length was asked for, and the modality has none.
    """
    module = MODALITIES.get(kind)
    if window is None or not hasattr(module, "part"):
        if isinstance(window, int):
            raise ConfigError(f"{kind} is not cut into windows.", where="--window")
        return (_whole(cells, module) if always else None), None, None
    lengths = _lengths(cells, module)
    length = _usual(lengths) if window == "auto" else int(window)
    if length is None:
        return (_whole(cells, module) if always else None), None, None
    step = max(1, length // 2) if hop in (None, "auto") else int(hop)
    owner, start = [], []
    for i, steps in enumerate(lengths.tolist()):
        at = list(range(0, max(1, steps - length + 1), step))
        if at[-1] + length < steps:  # what is left at the end is in a last window, which overlaps more
            at.append(steps - length)
        owner += [i] * len(at)
        start += at
    first = np.asarray(start, np.int64)
    stop = np.minimum(first + length, lengths[owner])
    notes.append(f"Windows: {len(owner):,} of {length:,} steps, {step:,} from one to the next, cut from {len(cells):,} "
                 f"recording{'s' * (len(cells) != 1)}; those of one recording are never held apart.")  # fmt: skip
    if short := int(((lengths < length) & (lengths > 0)).sum()):
        notes.append(f"Shorter than a window: {short:,} recordings, which are one window each.")
    return Windows(cells, np.asarray(owner, np.int64), first, stop, module.part), length, step


def _whole(cells: Sequence[Any], module: Any) -> Windows:
    lengths = _lengths(cells, module)
    return Windows(cells, np.arange(len(cells)), np.zeros(len(cells), np.int64), lengths, module.part)


def _lengths(cells: Sequence[Any], module: Any) -> np.ndarray:
    """Steps of each cell, int64 (N,), 0 of one that cannot be fetched."""
    fetched = (cell_or_error(cells, i) for i in range(len(cells)))
    return np.asarray([0 if c is None or isinstance(c, BadCell) else module.extent(c) for c in fetched], np.int64)


def _usual(lengths: np.ndarray) -> int | None:
    """The length that "auto" means; None where recordings are many, or too short to be cut."""
    longest = int(lengths.max(initial=0))
    if len(lengths) >= FEW or longest < 2 * SHORTEST:
        return None
    return int(np.clip(longest // PARTS, SHORTEST, LONGEST))
