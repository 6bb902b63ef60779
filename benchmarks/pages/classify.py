"""What docs/classify.md shows."""

from __future__ import annotations

import statistics
from functools import cache
from typing import Any

import tables

HEAD = ["labels a class", "accuracy", "out of fold", "calibration error", "without a temperature", "refused: known",
        "refused: unknown", "expected"]  # fmt: skip


@cache
def found() -> dict[str, Any]:
    return tables.read("classify")["digits"]


def unknown_classes() -> str:
    return " and ".join(map(str, found()["stranger_classes"]))


def example() -> str:
    """A classification, as it looks in a terminal."""
    e = found()["example"]
    return "\n".join(["```text", f"$ {e['command']}", *e["said"], "$ head -4 predictions.csv", *e["written"], "```"])


def mean(cases: list[dict[str, Any]], key: str) -> str:
    """Mean ± standard deviation over the draws; a dash where there is no figure."""
    values = [c[key] for c in cases if c[key] is not None]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def figures() -> str:
    """One line a number of labels."""
    d = found()
    body = []
    for count, cases in d["few"].items():
        unknown = statistics.mean(s["strangers_refused"] / s["strangers"] for s in d["strangers"][count])
        known = 1 - statistics.mean(c["coverage"] for c in cases)
        calibrated = all(c["calibrated"] for c in cases)
        error = mean(cases, "calibration_error")
        body.append([
            count, mean(cases, "accuracy"), mean(cases, "out_of_fold"), error if calibrated else "–",
            mean(cases, "calibration_error_untempered"), f"{known:.3f}", f"{unknown:.2f}",
            mean(d["strangers"][count], "strangers_expected"),
        ])  # fmt: skip
    return tables.rows(HEAD, body)


def kinds() -> str:
    """How often kNN was chosen where there was a choice."""
    chosen = [c["kind"] for cases in found()["few"].values() for c in cases if c["calibrated"]]
    return f"{chosen.count('knn')} of {len(chosen)}"
