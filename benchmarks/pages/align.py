"""What docs/align.md shows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import tables

HEAD = ["", "left out", "way", "strict precision", "strict recall", "strict F1", "lax precision", "lax recall",
        "lax F1"]  # fmt: skip
WAYS = {"auto": "the default", "20%": "`--skip 20%`"}


@cache
def found() -> dict[str, Any]:
    return json.loads((tables.ROOT / "align.json").read_text(encoding="utf-8"))


def swapped() -> str:
    return f"{max(of['swapped'] for of in found()['conditions'].values()):.0%}"


def seeds() -> str:
    return str(len(found()["seeds"]))


def over(figure: dict[str, Any]) -> str:
    """Mean ± standard deviation over the seeds."""
    return f"{figure['mean']:.3f}" + (f" ± {figure['sd']:.3f}" if figure["sd"] is not None else "")


def named(way: str) -> str:
    """The way as one would type it."""
    what, _, skip = way.partition(", skip ")
    if not skip:
        return "lengths alone"
    return f"{WAYS[skip]}, `--encode`" if what.startswith("joined") else WAYS[skip]


def figures() -> str:
    """One line a way."""
    body = []
    for condition, of in found()["conditions"].items():
        for way, r in of["results"].items():
            numbers = [over(r[kind][f]) for kind in ("strict", "lax") for f in ("precision", "recall", "f1")]
            body.append([condition, f"{of['left_out']:.0%}", named(way), *numbers])
    return tables.rows(HEAD, body)


def reading() -> str:
    """What the table shows, in words that follow its figures."""
    lines = []
    for condition, of in found()["conditions"].items():
        best = {
            kind: max(of["results"], key=lambda w, k=kind, r=of["results"]: r[w][k]["f1"]["mean"])
            for kind in ("strict", "lax")
        }
        lines.append(f"{condition}, best strict F1: {named(best['strict'])}; best lax F1: {named(best['lax'])}")
    return ". ".join(line[0].upper() + line[1:] for line in lines) + "."
