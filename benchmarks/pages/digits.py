"""What docs/results/digits.md shows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tables import read, rows

COUNTS = ["1", "2", "5", "10"]


@cache
def found() -> dict[str, Any]:
    return read("digits")["digits"]


def table() -> str:
    """Accuracy by the number of labels."""
    d = found()
    body = [[name, *(f"{values[c]['mean']:.3f}" for c in COUNTS)] for name, values in d["accuracy"].items()]
    body.append(["asked", *(f"{d['asked'][c]:.3f}" for c in COUNTS)])
    gains = (f"[{d['above_raw'][c][0]:+.3f}, {d['above_raw'][c][1]:+.3f}]" for c in COUNTS)
    return rows(["labels per class", *COUNTS], [*body, ["trained − raw pixels, 95 %", *gains]])


def tried() -> str:
    """What the recipe was chosen by."""
    body = [[json.dumps(t["knobs"]), *(f"{t['accuracy'][c]:.3f}" for c in COUNTS), f"{t['seconds']:.0f}"]
            for t in found()["tried"]]  # fmt: skip
    return rows(["changed", *COUNTS, "seconds"], body)
