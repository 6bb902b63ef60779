"""Models measured on labelled streams, beside floors: untrained encoder, raw windows and the matrix profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import PROTOCOLS
from nearfar.data import opposites
from nearfar.data.windows import Windows, windows_of
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Streams, takes
from nearfar.models import streams
from nearfar.vectors.streams import profile

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Column, Table

RAW = floors.RawInput()
Known = tuple["Column", np.ndarray] | None
Truth = tuple[list[np.ndarray], str]


def asked(protocols: Sequence[str]) -> bool:
    """Whether streams are to be measured."""
    return any(takes(name) == "streams" for name in protocols)


def check(table: Table, protocols: Sequence[str]) -> None:
    """Raises `DataError` where a table cannot be measured as a stream, or something else is to be measured with it."""
    windows = windows_of(table.first.cells) if len(table.columns) == 1 else None
    why = "other protocols take labelled windows" if not all(takes(p) == "streams" for p in protocols) else ""
    if windows is None:
        why = "these data are none"
    elif table.source.get("label") not in windows.said:
        why = "these data have no labels"
    if why:
        raise DataError(f"stream takes long recordings with labels of their steps, and {why}.", where="--protocol",
                        hint="Name the columns with --time and --label, and no other protocol.")  # fmt: skip


def truth(table: Table) -> Truth:
    """Labels of each recording's steps, int64 (T,), and what they tell: "anomalies" where two are opposites.

    Of 0 and 1, no and yes, or normal and anomaly it is known which is the anomaly; other labels are activities or
    states, whose changes are looked for.
    """
    said = streams.windows(table).said[table.source["label"]]
    texts = [[None if c is None else str(c).strip() for c in of] for of in said]
    names = sorted({c for of in texts for c in of if c})
    if len(names) < 2:
        raise DataError(f"all steps are labelled {names[0]!r}." if names else "no step has a label.", where="--label")
    positive = opposites.positive(names)
    number = {name: i if positive is None else int(i == positive) for i, name in enumerate(names)}
    what = "changes" if positive is None else "anomalies"
    return [np.asarray([number.get(c, -1) for c in of], np.int64) for of in texts], what


def results(
    models: Sequence[Any], tables: Sequence[Table], protocols: Sequence[str], *, with_floors: bool, layer: str | None,
    seed: int, console: Console,
) -> list[dict[str, Any]]:  # fmt: skip
    """One result for each model, with floors under it that know the same windows.

    Raises
    ------
    DataError
        No two kinds of steps are labelled.
    """
    made: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for model, table in zip(models, tables, strict=True):
        said, kept = truth(table), layer or "features"
        known = streams.known_windows(model, table, "auto", streams.reading(model, table.source), console)

        def measured(of: Any, table: Table = table, known: Known = known, said: Truth = said,
                     kept: str = kept) -> dict[str, Any]:  # fmt: skip
            console.say(f"Measuring {of.name} …")

            def features(column: Column, rows: np.ndarray) -> np.ndarray:
                return of.features(column, rows, layer=kept)

            return _figures(streams.scored(features, table, known), said, protocols, seed)

        if with_floors and not shared:
            shared["raw_input"] = measured(RAW)
            if said[1] == "anomalies" and (found := matrix_profile(table, known)) is not None:
                shared["matrix profile"] = _figures(found, said, protocols, seed)
        under = dict(shared)
        if with_floors:
            under["untrained_encoder"] = measured(floors.untrained(model, table, np.arange(len(table))))
        against = streams.ALONE if known is None else f"{len(known[1]):,} windows that are known"
        made.append({"run": model.name, "layer": kept, "views": 1, "against": against, **measured(model),
                     "floors": under})  # fmt: skip
    return made


def _figures(
    found: streams.Scored, said: Truth, protocols: Sequence[str], seed: int
) -> dict[str, Any]:  # fmt: skip
    (labels, what), windows = said, found.windows
    scores = found.unusual if what == "anomalies" else found.change
    stream = Streams(scores, windows.owner, windows.start, windows.stop, labels, what)
    return {name: PROTOCOLS.get(name).measure(stream, seed=seed) for name in protocols}


def matrix_profile(table: Table, known: Known) -> streams.Scored | None:
    """The scores of the matrix profile (`nearfar.vectors.streams.profile`), of several channels the largest.

    It is how anomalies are found without learning: a window is as unusual as the nearest one in all recordings that are
    known, or before it, is far. Of changes it says nothing. None for what is no series of numbers.
    """
    windows = streams.windows(table)
    cells = [np.atleast_2d(c) for c in windows.cells] if _numbers(windows) else []
    if not cells:
        return None
    usual = cells if known is None else [np.atleast_2d(c) for c in windows_of(known[0].cells).cells]
    length = int((windows.stop - windows.start).max())
    unusual = np.full(len(windows), np.nan)
    for own, cell in enumerate(cells):
        rows = np.flatnonzero((windows.owner == own) & (windows.stop - windows.start == length))
        for channel, line in enumerate(map(_filled, cell)):
            queries = np.lib.stride_tricks.sliding_window_view(line, length)[windows.start[rows]]
            near = [profile(queries, line, windows.start[rows])] if known is None else [
                profile(queries, _filled(other[channel])) for other in usual
            ]  # fmt: skip
            least = np.min(near, axis=0)
            unusual[rows] = np.fmax(unusual[rows], np.where(np.isfinite(least), least, np.nan))
    return streams.Scored(windows, unusual, np.full(len(windows), np.nan))


def _numbers(windows: Windows) -> bool:
    return all(isinstance(c, np.ndarray) and c.ndim <= 2 for c in windows.cells)


def _filled(line: np.ndarray) -> np.ndarray:
    """A channel with its gaps filled along lines, float64."""
    known = np.flatnonzero(np.isfinite(line))
    return np.interp(np.arange(len(line)), known, line[known]) if len(known) else np.zeros(len(line))
