"""What a search finds: rows, or regions of long recordings that are like a short one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.models import streams
from nearfar.vectors.basics import standardised, unit
from nearfar.vectors.streams import best

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.model import Model

WIDTH = 80  # characters of a text that are shown


@dataclass(frozen=True)
class Hit:
    """A row that is near a query, with its cosine similarity, its label and, of texts, its text.

    Of a region of a long recording `name` is the recording, `start` its first step and `stop` the one behind its last.
    """

    name: str
    score: float
    label: str | None = None
    text: str | None = None
    start: int | None = None
    stop: int | None = None

    def __str__(self) -> str:
        text = " ".join((self.text or "").split())
        text = f"  {text if len(text) <= WIDTH else f'{text[: WIDTH - 1]}…'}" if text else ""
        label = f"  ({self.label})" if self.label and self.label not in self.name else ""
        steps = "" if self.stop is None else f"  {self.start:,}–{self.stop - 1:,}"
        return f"{self.score:6.3f}  {self.name}{steps}{text}{label}"


def find_regions(
    model: Model, queries: Sequence[Any], data: Any, k: int, console: Console
) -> list[tuple[str, list[Hit]]]:
    """For each query its name, and the windows of long recordings most like it, of which no two share a step.

    Windows are as long as the query, an eighth of that apart. Their vectors and the query's are standardised by the
    mean and deviation of theirs, and compared by the cosine.

    Raises
    ------
    ConfigError
        The model reads nothing that lasts.
    DataError
        A query is several recordings, or longer than what the model reads at once; the data cannot be read.
    """
    found, longest = [], streams.reading(model)["window"]
    for i, query in enumerate(queries, 1):
        name = str(query) if isinstance(query, str | Path) else f"query {i}"
        motif = model.read(query, console=console, window=None, hop=None)
        if len(motif) != 1:
            raise DataError(f"holds {len(motif):,} recordings, and one is looked for.", where=name)
        steps = int(motif.first.lengths[0])
        if steps > longest:
            raise DataError(f"lasts {steps:,} steps, and the model reads {longest:,} at once.", where=name,
                            hint="Cut it shorter, or train with a longer --window.")  # fmt: skip
        table = model.read(data, console=console, max_bad=1.0, **streams.reading(model, {"window": max(2, steps)}))
        windows = streams.windows(table)
        vectors = model.features(table.first, np.arange(len(table)), console=console)
        z, q = map(unit, standardised(vectors, model.features(motif.first, np.arange(1))))
        scores, place = (z @ q[0]).astype(np.float64), (windows.owner, windows.start, windows.stop)
        hits = [
            Hit(
                str(table.names[r]).rpartition(":")[0], float(scores[r]), None, None, int(place[1][r]), int(place[2][r])
            )
            for r in best(scores, *place, k).tolist()
        ]
        found.append((name, hits))
    return found
