"""What transforms check of the ranges that they draw from."""

from __future__ import annotations

import math


def check(where: str, span: tuple[float, float], *, least: float = math.ulp(0), most: float = math.inf) -> None:
    """Raise a `ValueError` where `span` is not (low, high) with `least` ≤ low ≤ high ≤ `most`; low > 0 by default."""
    if not least <= span[0] <= span[1] <= most:
        low = f"at least {least:g}" if least in (0, 1) else "above 0"
        limits = low if most == math.inf else f"{low} and at most {most:g}"
        raise ValueError(f"{where}: expected two numbers {limits}, the smaller first, got {span}")
