"""What docs/results/sound.md and docs/sound.md show."""

from __future__ import annotations

import json
import statistics
from functools import cache
from typing import Any

from tables import ROOT, rows

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WHO = {"floor": "log-mel, untrained", "trained alone": "trained", "model": "trained, `--fixed pca` beside"}
WAYS = {"plain": "as they are", "by speaker": "standardised by speaker"}


@cache
def found() -> dict[str, list[dict[str, Any]]]:
    """By part, the results of all seeds."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((ROOT / "sound").glob("*.json")):
        one = json.loads(file.read_text(encoding="utf-8"))
        parts.setdefault(one["part"], []).append(one)
    return parts


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def _of(part: str, who: str, *path: str) -> list[float]:
    values = []
    for one in found().get(part, []):
        value = one[who]
        for key in path:
            value = value[key]
        values.append(value)
    return values


def _c(part: str, who: str) -> str:
    """The penalty of few labels that is best on average."""
    return max(("0.01", "0.1", "10"), key=lambda c: statistics.mean(_of(part, who, "few", c, "mean")))


def few() -> str:
    """Few labels, all labels and who speaks, on the official split."""
    body = []
    for part, said in (("official", "batches of one speaker"), ("mixed", "batches of all")):
        for who, name in WHO.items():
            if part not in found() or (who == "floor" and part == "mixed"):
                continue
            cells = [_spread(_of(part, who, *path)) for path in (("few", _c(part, who), "mean"), ("digits", "accuracy"), ("who", "accuracy"))]
            body.append([name + ("" if who == "floor" else f", {said}"), *cells])
    return rows(["vectors", "8 labels a digit", "all labels", "who speaks"], body)


def gain() -> str:
    """Few labels above the floor: the mean over seeds of the difference on the same draws, and its 95 % interval."""
    if "official" not in found():
        return "not measured yet"
    draws = [_of("official", who, "few", _c("official", who), "draws") for who in ("trained alone", "floor")]
    differences = [[m - f for m, f in zip(model, floor, strict=True)] for model, floor in zip(*draws, strict=True)]
    by_draw = [statistics.mean(d) for d in zip(*differences, strict=True)]
    mean, error = statistics.mean(by_draw), statistics.stdev(by_draw) / len(by_draw) ** 0.5
    return f"{mean:+.3f} [{mean - 2.262 * error:+.3f}, {mean + 2.262 * error:+.3f}]"  # Student's t of ten draws


def unseen() -> str:
    """A speaker never heard, one by one and the mean."""
    there = [s for s in SPEAKERS if s in found()]
    if not there:
        return rows(["vectors", "", *SPEAKERS, "mean"], [])
    body = []
    for who, name in WHO.items():
        for way, how in WAYS.items():
            values = [_of(s, who, way, "accuracy") for s in there]
            each = [f"{statistics.mean(v):.3f}" for v in values]
            seeds = min(map(len, values))
            body.append([name, how, *each, _spread([statistics.mean(v[i] for v in values) for i in range(seeds)])])
    return rows(["vectors", "", *there, "mean"], body)


def cost() -> str:
    """Seconds of a training, least and most, by how many trainings."""
    seconds = [one["seconds"] for ones in found().values() for one in ones]
    if not seconds:
        return "not measured yet"
    return f"{min(seconds):.0f} to {max(seconds):.0f} s, {len(seconds)} trainings"
