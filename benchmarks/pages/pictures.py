"""What docs/results/pictures.md shows: what benchmarks/mirrored.py and small_pictures.py left."""

from __future__ import annotations

from functools import cache
from typing import Any

import tables

FIGURES = ("knn", "8 labels a class", "linear")
VARIANTS = {"whitened": "first layer begins whitened", "grid": "a mean for each quarter", "unmirrored": "nothing mirrored",
            "rate": "four times the learning rate"}  # fmt: skip


@cache
def found() -> dict[str, Any]:
    return {name: d for name, d in tables.read("pictures").items() if name != "mirrored"}


def short(plain: bool) -> list[dict[str, Any]]:
    """The short trainings, those without a change or the others."""
    return [d for d in found().values() if d.get("share") is None and (d["variant"] == "plain") == plain]


def mirrored() -> str:
    """Shares of pictures that are farther from the others when they are mirrored."""
    d = tables.read("pictures")["mirrored"]
    body = [
        [name, f"{r['rows']:,}", f"{r['share']:.3f}", f"{r['few']:.3f}", f"{r['control']:.3f}", f"{r['cpu_seconds']:.2f}"]
        for name, r in d["found"].items()
    ]
    head = ["training rows of", "rows", "farther when mirrored", f"of the first {d['few']}",
            "half of them mirrored at random", "CPU seconds"]  # fmt: skip
    return tables.rows(head, body)


def beside() -> str:
    """Principal components beside trained features."""
    plain = short(plain=True)
    kinds = [k for k, v in plain[0]["looks"][-1].items() if isinstance(v, dict)]  # trained, fixed …
    body = []
    for d in plain:
        first, last = d["looks"][0], d["looks"][-1]
        for figure in FIGURES:
            body.append([
                d["case"], str(last["step"]), figure, f"{first['trained'][figure]:.3f}",
                *(f"{last[k][figure]:.3f}" if figure in last[k] else "" for k in kinds),
            ])  # fmt: skip
    return tables.rows(["case", "steps", "figure", "untrained", *kinds], body)


def lengths() -> str:
    """Whole trainings and quarters of them, at two rates."""
    whole = [d for d in found().values() if d.get("share") is not None]
    body = []
    for d in sorted(whole, key=lambda d: (d["case"], -d["share"], d["variant"])):
        last = d["looks"][-1]
        body.append([
            d["case"], f"{d['share']:g}", "0.004" if "rate" in d["variant"] else "0.001", "yes" if "grid" in d["variant"] else "",
            str(last["step"]), *(f"{last['trained'][f]:.3f}" for f in FIGURES),
            *(f"{last[w][f]:.3f}" for w in ("weight 0.35", "weight 0.7") for f in FIGURES[:2]),
            f"{last['weight 1.0']['linear']:.3f}", f"{last['seconds']:.0f}",
        ])  # fmt: skip
    head = ["case", "share of the default epochs", "rate for 256 rows", "a mean for each quarter", "steps", *FIGURES,
            *(f"{f}, components beside with {w}" for w in ("0.35", "0.7") for f in FIGURES[:2]), "linear, components beside",
            "CPU seconds"]  # fmt: skip
    return tables.rows(head, body)


def variants() -> str:
    """Changes to encoder and views that were tried."""
    body = []
    for d in short(plain=False):
        against = {look["step"]: look for p in short(plain=True) if p["case"] == d["case"] for look in p["looks"]}
        for look in d["looks"]:
            was = against[look["step"]]
            body.append([
                VARIANTS[d["variant"]], d["case"], str(look["step"]), str(look["dimensions"]),
                *(f"{look['trained'][f]:.3f} ({look['trained'][f] - was['trained'][f]:+.3f})" for f in FIGURES),
                f"{look['seconds']:.0f} ({was['seconds']:.0f})",
            ])  # fmt: skip
    head = ["change", "case", "step", "dimensions", *FIGURES, "CPU seconds"]
    return tables.rows(head, body)


def commands() -> str:
    every = tables.read("pictures")
    return tables.commands({"mirrored": every["mirrored"], **{d["command"]: d for d in every.values()}})
