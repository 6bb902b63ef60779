"""What the section of engines in docs/results/pretrained.md shows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import tables

SETS = {"trec": "trec (questions)", "agnews_small": "agnews_small (news)"}


@cache
def found() -> dict[str, Any]:
    return json.loads((tables.ROOT / "pretrained/engines.json").read_text(encoding="utf-8"))


def _speed(of: dict[str, Any], base: str) -> str:
    """Rows per second, and the ratio to another engine's of the same rounds."""
    return f"{of['per_second']:,.0f} ({of['ratio'][base]:.2f} ×)"


def texts() -> str:
    """One line an engine: texts per second, and how far its vectors are from torch's."""
    of, base = found()["texts"], "sentence-transformers, torch"
    head = ["engine", *SETS.values(), "largest difference", "least cosine"]
    body = []
    for name in of["trec"]:
        worst = max(of[s][name]["largest_difference"] for s in SETS)
        least = min(of[s][name]["least_cosine"] for s in SETS)
        body.append([name, *(_speed(of[s][name], base) for s in SETS), f"{worst:.1g}", f"{least:.3f}"])
    return tables.rows(head, body)


def quality() -> str:
    """One line an engine: few labels, and rank correlation."""
    body = []
    for name, of in found()["quality"].items():
        shots = [f"{of[s]['mean']:.3f} ± {of[s]['sd']:.3f} ({of[s]['change']:+.3f})" for s in SETS]
        body.append([name, *shots, f"{of['stsb']['spearman']:.3f} ({of['stsb']['change']:+.3f})"])
    return tables.rows(["engine", *SETS.values(), "STS-B test, Spearman"], body)


def pictures() -> str:
    """One line an engine: pictures per second."""
    body = []
    for name, of in found()["pictures"]["clothing_small"].items():
        body.append([name, _speed(of, "timm, torch"), f"{of['largest_difference']:.1g}"])
    return tables.rows(["engine", "clothing_small", "largest difference"], body)
