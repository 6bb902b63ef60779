"""What docs/several.md shows."""

from __future__ import annotations

import statistics
from functools import cache
from typing import Any

import tables

PROTOCOLS = ("linear_probe", "knn")


@cache
def found() -> dict[str, Any]:
    return tables.read("several")["digits"]


def recipe() -> str:
    return ", ".join(f"{k} {v}" for k, v in found()["recipe"].items() if k != "epochs")


def figure(cases: list[dict[str, Any]], protocol: str) -> str:
    """The accuracy of one case, or mean ± standard deviation of several."""
    values = [c[protocol]["accuracy"] for c in cases]
    if len(values) == 1:
        return tables.share(cases[0][protocol])
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def row(name: str, cases: list[dict[str, Any]], cost: str) -> list[str]:
    """One line of a table."""
    return [name, cost, str(cases[0]["dimensions"]), *(figure(cases, p) for p in PROTOCOLS)]


def together() -> str:
    """One run, runs together, and what they have to beat."""
    d = found()
    n, epochs = len(d["seeds"]), d["epochs"]
    body = [row(f"one run of {epochs} epochs, {n} seeds", d["single"]["to zero"]["last weights"], "1")]
    for name, cases in d["ensembles"].items():
        size = len(cases[0]["members"])
        what = f"`{name.rpartition(' of ')[0]}` of {size}"
        body.append(row(f"{what}, {len(cases)} pairs" if len(cases) > 1 else what, cases, str(size)))
    body += [
        row(f"one run of {n * epochs} epochs, {n} seeds", d["longer"], str(n)),
        row(f"untrained encoder, {n} seeds", d["untrained"], "0"),
        row("raw pixels", [d["raw"]], "0"),
    ]
    return tables.rows(["model", "trainings", "dimensions", "linear probe", "kNN (20, τ 0.07)"], body)


def averaged() -> str:
    """Weights of the last step, and of the last share of the steps, by schedule."""
    d = found()
    body = [
        [f"{schedule} ({d['schedules'][schedule]:g} of its peak)", name, *(figure(cases, p) for p in PROTOCOLS)]
        for schedule, kinds in d["single"].items()
        for name, cases in kinds.items()
    ]
    return tables.rows(["the rate falls", "weights", "linear probe", "kNN (20, τ 0.07)"], body)


def gains() -> str:
    """By seed: the averaged weights beside the last ones whose statistics were taken in the same way."""
    d = found()
    parts = []
    for schedule, kinds in d["single"].items():
        pairs = zip(kinds["averaged"], kinds["last weights, statistics anew"], strict=True)
        both = [(a, b) for a, b in pairs]
        for p, word in zip(PROTOCOLS, ("linear probe", "kNN"), strict=True):
            moved = [f"{a[p]['accuracy'] - b[p]['accuracy']:+.3f}".replace("-", "−") for a, b in both]
            parts.append(f"{schedule}, {word} {', '.join(moved)}")
    return "; ".join(parts)


def turned() -> str:
    """How near members were to the first, as trained and aligned."""
    d = found()
    agreed = [a for name, cases in d["ensembles"].items() if name.startswith("average of")
             for c in cases for a in c["agreement"]]  # fmt: skip
    before, after = ([a[k] for a in agreed] for k in ("before", "after"))
    return f"{min(before):.2f} … {max(before):.2f} as trained and {min(after):.2f} … {max(after):.2f} aligned"


def mean(cases: list[dict[str, Any]], protocol: str) -> float:
    """Mean accuracy of some cases."""
    return statistics.mean(c[protocol]["accuracy"] for c in cases)


def comparison() -> str:
    """What the table shows, in sentences, from its numbers alone."""
    d = found()
    n, e = len(d["seeds"]), d["ensembles"]
    best = max((name for name in e if name.endswith(f" of {n}")), key=lambda name: mean(e[name], "knn"))
    one, whole, long = (mean(c, "knn") for c in (d["single"]["to zero"]["last weights"], e[best], d["longer"]))
    apart = mean(e[f"average of {n}"], "knn") - mean(e[f"average, not aligned of {n}"], "knn")
    verdict = "more than the ensemble, so there an ensemble is for runs that are there anyway"
    return (
        f"By kNN the best of the ensembles of {n} (`{best.rpartition(' of ')[0]}`) is {whole - one:+.3f} from the mean of its\n"
        f"members; one run that costs as much is {long - one:+.3f}, {verdict if long > whole else 'no more than the ensemble'}.\n"
        f"The aligned mean is {apart:+.3f} from the one that is not, where one test row is {1 / d['test_rows']:.3f}: a probe turns and\n"
        "weighs the dimensions itself. What the alignment is for is the cosine: with it the mean stays nearer\n"
        "to the cosines of its members (tests/models/test_several.py measures both)."
    ).replace("-0.", "−0.")


def worth() -> str:
    """Whether averaging moved any figure by more than seeds do."""
    d = found()
    moved = []
    for schedule, kinds in d["single"].items():
        base, new = kinds["last weights, statistics anew"], kinds["averaged"]
        for p, word in zip(PROTOCOLS, ("linear probe", "kNN"), strict=True):
            if abs(mean(new, p) - mean(base, p)) > statistics.stdev(c[p]["accuracy"] for c in base):
                moved.append(f"{word}, {schedule}")
    if not moved:
        return "No mean moved by as much as one standard deviation between seeds: averaging is not worth its pass here."
    return f"Moved by more than one standard deviation between seeds: {'; '.join(moved)}."
