"""Tables of docs/results/pretrained.md: how fast pretrained models encode, and what a second verb takes."""

from __future__ import annotations

from typing import Any

from tables import read, rows

SETS = {
    "trec": "trec, MiniLM",
    "agnews_small": "agnews_small, MiniLM",
    "clothing_small": "clothing_small, EfficientNet-Lite0",
}


def _found(part: str) -> dict[str, Any]:
    return read("pretrained")["encode"].get(part, {})


def rates() -> str:
    """Rows per processor second of nearfar and of the libraries."""
    body = []
    for name, title in SETS.items():
        if name not in (found := _found("rates")):
            continue
        of = found[name]
        peer = next(w for w in of["per_second"] if not w.startswith("nearfar"))
        for way, rate in of["per_second"].items():
            far = "" if way == peer else f"{of['difference'][way]:.0e}"
            body.append([title, way, f"{rate:,.0f}", f"{of['ratio'][way]:.2f}", far])
    return rows(["rows", "encoded by", "rows per CPU second", "ratio", "largest difference"], body)


def verbs() -> str:
    """Seconds of the first and the second verb."""
    body = []
    for name, title in SETS.items():
        if name not in (found := _found("verbs")):
            continue
        of = found[name]
        for verb in ("eval", "classify"):
            both = [f"{of[verb][time]['processor']:.1f}" for time in ("first", "second")]
            body.append(
                [title, f"`{verb}`", *both, f"{of['start']['processor']:.1f}", f"{of[verb]['beyond']['processor']:.1f}"]
            )
    return rows(
        ["rows", "verb", "first, CPU s", "second, CPU s", "start-up, CPU s", "second beyond it (asked: ≤ 3)"], body
    )
