"""What docs/results/views.md shows."""

from __future__ import annotations

from functools import cache
from typing import Any

from tables import read, rows


@cache
def found() -> dict[str, Any]:
    return read("speed")["views"]


def rates() -> str:
    """Images per second."""
    sizes = found()["sizes"]
    names = list(next(iter(sizes.values()))["images_per_second"])
    body = [[name, *(f"{s['images_per_second'][name]:,.0f}" for s in sizes.values())] for name in names]
    return rows(["", *(f"{s} × {s}" for s in sizes)], body)


def ratios() -> str:
    """Ours over the peers."""
    body = []
    for size, s in found()["sizes"].items():
        asked = {"torchvision per image": f"≥ {s['asked_of_torchvision']:g}", "best batched peer": "> 1"}
        for kind, r in s["ratio"].items():
            low, high = r["by_round"]
            body.append([f"{size} × {size}", f"{kind} ({r['peer']})", f"{r['ratio']:.1f}", f"{low:.1f} … {high:.1f}",
                         asked.get(kind, "–")])  # fmt: skip
    return rows(["size", "ours over", "ratio", "by round", "asked"], body)


def share() -> str:
    """What of a training step the views take."""
    step = found()["step"]
    low, high = step["by_round"]
    return (f"**{step['share']:.1%}** (by round {low:.1%} … {high:.1%}; asked ≤ {step['asked']:.0%}): "
            f"{1000 * step['views_seconds']:.0f} ms of {1000 * step['step_seconds']:.0f} ms")  # fmt: skip
