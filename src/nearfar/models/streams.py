"""A stream, which is windows of long recordings, as vectors see it: how unusual each one is, and where it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.data.windows import Windows, windows_of
from nearfar.vectors import streams
from nearfar.vectors.basics import standardised, unit

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Column, Table
    from nearfar.models.model import Model

FINE = 8  # windows that begin within the length of one, unless it is said how far they are apart
EARLIER = "earlier"
ALONE = "its own windows that end before"

Features = Callable[["Column", np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scored:
    """What is said of the windows of a stream.

    Parameters
    ----------
    windows : Windows
    unusual : ndarray of float64 (N,)
        Distance to the nearest window that is known; NaN where there is none.
    change : ndarray of float64 (N,)
        Distance between what is before and what is after its first step; NaN where nothing is.
    """

    windows: Windows
    unusual: np.ndarray
    change: np.ndarray


def reading(model: Model, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How a stream is cut: windows as long as those of the training, or as `given`, an eighth of one apart.

    Raises
    ------
    ConfigError
        The model reads nothing that is cut into windows.
    """
    given, spec = {k: v for k, v in (given or {}).items() if v is not None}, model.columns[model.only_column()][1]
    window = given.get("window") or model.config.data.window or spec.get("length")
    if not isinstance(window, int):
        raise ConfigError(f"{model.name} reads nothing that lasts, so there are no streams for it.")
    return {"window": window, "hop": max(1, window // FINE)} | given


def windows(table: Table) -> Windows:
    """The windows that the rows of a table are; raises a `DataError` where they are none."""
    found = windows_of(table.first.cells) if len(table.columns) == 1 else None
    if found is None:
        raise DataError("these data are no windows of recordings.", hint="Bring long recordings: a table with --time, "
                        "or arrays of channels and steps.")  # fmt: skip
    return found


def known_windows(
    model: Model, table: Table, against: Any, cut: Mapping[str, Any], console: Console | None
) -> tuple[Column, np.ndarray] | None:
    """Windows that others are compared with; None where these are the earlier ones of the stream itself.

    Parameters
    ----------
    against : path, array or Table
        Recordings of what is usual; "auto" are those of the training, unless they are not known or the stream itself.
    """
    if isinstance(against, str) and against == EARLIER:
        return None
    if isinstance(against, str) and against == "auto":
        if not model.config.data.source:
            return None
        asked = model.reading() | {"window": cut["window"], "hop": cut["hop"]}
        usual = model.read(model.source(), console=console, max_bad=model.config.data.max_bad, **asked)
        name = model.config.data.train_split or "train"
        rows = usual.splits.get(name, np.arange(len(usual)))
    else:
        usual = model.read(against, console=console, **cut)
        rows = np.arange(len(usual))
    same = usual.fingerprint == table.fingerprint
    return None if same and isinstance(against, str) and against == "auto" else (usual.first, rows)


def scored(features: Features, table: Table, known: tuple[Column, np.ndarray] | None) -> Scored:
    """How unusual each window is beside those `known`, or the earlier ones of its recording, and where it changes.

    How unusual a window is goes by vectors in their principal directions, each by its deviation
    (`nearfar.vectors.streams.whitened`), a change by the directions of standardised vectors: what hardly ever varies
    tells of the first and only blurs the second. Deviations are those among windows that are known, or else among all
    of the stream.
    """
    found, x = windows(table), features(table.first, np.arange(len(table)))
    place = found.owner, found.start, found.stop
    usual = x if known is None else features(*known)
    z, w = streams.whitened(usual, x)
    unusual = streams.unusual_so_far(w, *place) if known is None else streams.unusual(w, z)
    return Scored(found, unusual, streams.changes(unit(standardised(usual, x)[1]), *place))
