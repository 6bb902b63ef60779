"""What a loss is where nothing has been learnt."""

from __future__ import annotations

import math

from nearfar.core.registry import METHODS, OBJECTIVES
from nearfar.methods.record import Method


def one_of_the_batch(record: Method, rows: int) -> float:
    """Where all similarities are equal and one of the `rows` of the batch is right: what a method may say of itself."""
    return math.log(rows)


def no_learning(record: Method, rows: int) -> float | None:
    """Loss of an embedding that has learnt nothing: what the method says, else its objective for its defaults."""
    if level := getattr(METHODS.get(record.name), "no_learning", None):
        try:
            return level(record, rows)
        except LookupError:  # it lacks a part, which the first comparison says
            return None
    info = OBJECTIVES.get(record.objective_name).INFO if record.objective else None
    if info is None or info.no_learning is None or getattr(record.objective, "parameters", None):
        return None
    size = next(
        (p.size for p in record.parts.values() if hasattr(p, "size")), getattr(record.projector, "prototypes", 0)
    )
    level = info.no_learning(rows, record.count, size)
    return level if math.isfinite(level) else None
