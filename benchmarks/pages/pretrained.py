"""What docs/results/pretrained.md shows."""

from __future__ import annotations

import statistics
from typing import Any

import tables
from scipy import stats
from tables import over

CASES = ("frozen", "adapted", "setfit")
TITLES = {"frozen": "frozen", "setfit": "SetFit"}
BY = "regression"  # the classifier that all vectors are compared by


def results(labels: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Draws of every set, by case."""
    found = tables.read("pretrained")
    return {c: found[f"few-{labels}-{c}"]["sets"] for c in CASES if f"few-{labels}-{c}" in found}


def of(draws: dict[str, Any], key: str) -> list[float]:
    """A figure of all draws."""
    return [d[key] for d in draws.values()]


def interval(differences: list[float]) -> str:
    """Mean with the 95 % interval of Student's t."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return f"{mean:+.3f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def paired(labels: int, case: str, other: str) -> list[float]:
    """By draw, how much one case is above another in the mean of the sets that have it for both."""
    one, two = (results(labels)[c] for c in (case, other))
    draws: dict[str, list[float]] = {}
    for name in one:
        for d in one[name].keys() & two.get(name, {}).keys():
            draws.setdefault(d, []).append(one[name][d][BY] - two[name][d][BY])
    return [statistics.mean(of_sets) for of_sets in draws.values()]


def few(labels: int) -> str:
    """One line a set, and one of all."""
    found, body = results(labels), []
    for name in found["frozen"]:
        drawn = found["adapted"][name]  # the draws that are shown
        at = {c: {d: r for d, r in found[c].get(name, {}).items() if d in drawn} for c in found}
        setfit = at.get("setfit") or {}
        ended = next((d["max_steps"] for d in setfit.values() if d.get("max_steps")), 0)
        body.append([
            name, over(of(at["frozen"], BY)), over(of(at["adapted"], BY)),
            (over(of(setfit, BY)) + f" ({len(setfit)} draws)" * (len(setfit) != len(at["adapted"]))) if setfit else "–",
            over(of(at["frozen"], "classify")), over(of(at["adapted"], "classify")),
            over(of(setfit, "head")) if setfit else "–",
            f"{statistics.mean(of(at['adapted'], 'cpu_seconds')):.0f}",
            f"{statistics.mean(of(setfit, 'cpu_seconds')):.0f}" + f" (ended after {ended:,} steps)" * bool(ended)
            if setfit else "–",
        ])  # fmt: skip
    head = ["set", "frozen", "adapted", "SetFit", "frozen, classify", "adapted, classify", "SetFit, its head",
            "CPU s, adapted", "CPU s, SetFit"]  # fmt: skip
    return tables.rows(head, body)


def summary(labels: int) -> str:
    """Differences over all sets and draws, and the share of SetFit's time."""
    found = results(labels)
    body = []
    for other in ("frozen", "setfit"):
        if other in found:
            above = paired(labels, "adapted", other)
            body.append([f"adapted − {TITLES[other]}", interval(above), str(len(above))])
    if "setfit" in found:
        both = [(s, d) for s in found["setfit"] for d in found["setfit"][s] if d in found["adapted"].get(s, {})]
        ours, theirs = (sum(found[c][s][d]["cpu_seconds"] for s, d in both) for c in ("adapted", "setfit"))
        body.append(["CPU seconds, share of SetFit's", f"{ours / theirs:.2f}", str(len({d for _, d in both}))])
    return tables.rows(["mean of the sets", "95 % interval", "draws"], body)


def few_8() -> str:
    """8 labels a class."""
    return few(8)


def few_64() -> str:
    """64 labels a class."""
    return few(64)


def summary_8() -> str:
    """The same over all sets."""
    return summary(8)


def summary_64() -> str:
    """The same over all sets."""
    return summary(64)


def classify_8() -> str:
    """The frozen model with 8 labels a class: what `nearfar classify` makes of them beside the floors' regression."""
    body = []
    for name, draws in results(8)["frozen"].items():
        ours, theirs = of(draws, "classify"), of(draws, BY)
        above = interval([a - b for a, b in zip(ours, theirs, strict=True)])
        body.append([name, over(theirs), over(ours), above])
    return tables.rows(["set", "regression", "`nearfar classify`", "difference"], body)
