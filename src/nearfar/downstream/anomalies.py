"""Which windows of a stream are unusual, and where it changes; the function behind ``nearfar anomalies``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.console import of_call
from nearfar.core.options import checked
from nearfar.core.values import whole
from nearfar.data.facts import about_skipped
from nearfar.downstream import tables
from nearfar.models import loading, streams
from nearfar.vectors.streams import best

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.model import Model

KINDS = {"recording": "string", "start": "int64", "stop": "int64", "score": "float64", "change": "float64"}


@dataclass(frozen=True)
class Window:
    """Steps of a recording, `start` to the one before `stop`, and what is said of them.

    `score` is the distance to the nearest window that is known, `change` the one between what is before and what is
    after the first step; None where there is nothing to compare with.
    """

    recording: str
    start: int
    stop: int
    score: float | None
    change: float | None

    def __str__(self) -> str:
        score, change = ("–" if v is None else f"{v:.2f}" for v in (self.score, self.change))
        return f"{score:>8}  {change:>8}  {self.recording}  {self.start:,}–{self.stop - 1:,}"


@dataclass(frozen=True)
class Anomalies:
    """What `anomalies` gives.

    Attributes
    ----------
    run : str
    against : str
        What windows were compared with.
    windows : sequence of Window
        All, in the order of the stream.
    top : sequence of Window
        The most unusual ones, of which no two share a step, the first one first.
    out : str or None
        The file that holds all.
    """

    run: str
    against: str
    windows: Sequence[Window]
    top: Sequence[Window]
    out: str | None = None

    def __repr__(self) -> str:
        head = f"{len(self.windows):,} windows, compared with {self.against}; the most unusual ones:"
        where = [f"All are in {self.out}."] if self.out else []
        return "\n".join([head, "   score    change  steps", *map(str, self.top), *where])

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar anomalies --json`` prints."""
        return {"schema": 1, "verb": "anomalies", "run": self.run, "against": self.against, "out": self.out,
                "windows": len(self.windows), "top": [asdict(w) for w in self.top]}  # fmt: skip

    def write(self, path: str | Path) -> None:
        """Write a table with the columns ``recording``, ``start``, ``stop``, ``score`` and ``change``."""
        tables.write(path, KINDS, [asdict(w) for w in self.windows])


@checked
def anomalies(
    run: Model | str | Path, data: Any, *, against: Any = "auto", out: str | Path | None = None, k: int = 10,
    time: str | None = None, group: str | None = None, window: int | None = None, hop: int | None = None,
    cache: bool = True, precision: str | None = None, quiet: bool = False, console: Console | None = None,
) -> Anomalies:  # fmt: skip
    """Score the windows of a stream by how far they are from all that are known to be usual.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    data : path, array or Table
        Long recordings.
    against : path, array or Table, optional
        Recordings of what is usual; by default those that the run was trained on. "earlier" are the windows of the
        stream itself that end before one begins, which are also taken where the stream is what the run was trained on,
        or that is not known any more.
    out : path, optional
        File to write: .csv or .parquet, one row a window.
    k : int
        Windows to show.
    time, group : str, optional
        Columns of a table, as in training.
    window, hop : int, optional
        Steps of a window, by default those of the training, and from one to the next, by default an eighth of it.

    Returns
    -------
    Anomalies

    Raises
    ------
    ConfigError
        `out` cannot be written, or the run reads nothing that lasts.
    DataError
        The data cannot be read, or are no long recordings.
    """
    console, k = of_call(console, quiet), whole(k, "k", 1, "-k")
    if out is not None:
        tables.check_out(out, data, against)
    model, called = loading.opened(run, cache=cache, precision=precision)
    cut = streams.reading(model, {"window": window, "hop": hop, "time": time, "group": group})
    table = model.read(data, max_bad=1.0, console=console, **cut)
    if table.skipped:
        console.warn(about_skipped(table.skipped))
    known = streams.known_windows(model, table, against, cut, console)
    found = streams.scored(model.features, table, known)
    place = found.windows.owner, found.windows.start, found.windows.stop
    made = [
        Window(str(name).rpartition(":")[0] or str(name), int(start), int(stop), _number(score), _number(change))
        for name, start, stop, score, change in zip(
            table.names, *place[1:], found.unusual, found.change, strict=True
        )
    ]  # fmt: skip
    top = [made[i] for i in best(found.unusual, *place, k).tolist()]
    about = streams.ALONE if known is None else f"{len(known[1]):,} that are known"
    result = Anomalies(called, about, made, top, None if out is None else str(out))
    if out is not None:
        result.write(out)
    return result


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
