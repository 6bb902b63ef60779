"""What a loss is that has learnt nothing."""

from __future__ import annotations

import math

from nearfar.core.registry import METHODS, OBJECTIVES
from nearfar.methods.record import Method


def no_learning(record: Method, rows: int) -> float | None:
    """Loss of an embedding that has learnt nothing: the method's own word, else its objective's for its defaults."""
    if own := getattr(METHODS.get(record.name), "no_learning", None):
        try:
            return own(record, rows)
        except LookupError:  # it lacks a part, which the first comparison tells
            return None
    info = OBJECTIVES.get(record.objective_name).INFO if record.objective else None
    if info is None or info.no_learning is None or getattr(record.objective, "parameters", None):
        return None
    size = next(
        (p.size for p in record.parts.values() if hasattr(p, "size")), getattr(record.projector, "prototypes", 0)
    )
    level = info.no_learning(rows, record.count, size)
    return level if math.isfinite(level) else None
