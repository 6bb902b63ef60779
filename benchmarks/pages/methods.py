"""What docs/results/methods.md shows, and the figures that `nearfar methods` shows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import tables

from nearfar.core.registry import METHODS

FIGURES = Path(__file__).parents[2] / "src" / "nearfar" / "methods" / "figures.json"


@cache
def found() -> list[dict[str, Any]]:
    """The results of seed 0, the best linear probe first."""
    return sorted((d for d in tables.read("methods").values() if d["seed"] == 0), key=lambda d: -linear(d)["accuracy"])


def linear(d: dict[str, Any]) -> dict[str, Any]:
    """The linear probe's figures."""
    return d["results"][0]["linear_probe"]


def row(d: dict[str, Any]) -> list[str]:
    """A line of the table."""
    r, best = METHODS.get(d["method"]).RECORD, d["results"][0]
    published = f"{r.published[0].value:.3f}, {r.published[0].what}: {r.published[0].setting}" if r.published else "–"
    return [
        f"`{d['method']}`", str(d["views"]) if d["epochs"] else "–", str(d["epochs"]), tables.share(linear(d)),
        tables.share(best["knn"]), f"{best['geometry']['effective_rank']:.0f}",
        f"{d['training_seconds'] / 60:.1f}", str(d["peak_mib"] or "–"), published,
    ]  # fmt: skip


def figures() -> dict[str, Any]:
    """What the package carries."""
    shown = {
        d["method"]: {
            "linear": linear(d)["accuracy"],
            "knn": d["results"][0]["knn"]["accuracy"],
            "minutes": round(d["training_seconds"] / 60, 1),
        }
        for d in sorted(found(), key=lambda d: d["method"])
    }
    return {"setting": "CIFAR-10, 10,000 rows, 200,000 views, pooled_cnn, seed 0", "methods": shown}


def write_figures() -> None:
    FIGURES.write_text(json.dumps(figures(), indent=1) + "\n", encoding="utf-8")


def behind() -> str:
    """The methods that are not above the untrained network."""
    floor = next((linear(d)["interval"][1] for d in found() if d["method"] == "random"), 0.0)
    names = [f"`{d['method']}`" for d in found() if d["epochs"] and linear(d)["interval"][0] <= floor]
    return ", ".join(names) or "none"


def missing() -> str:
    """The methods that were not measured."""
    all_ = [m for m in METHODS if METHODS.get(m).RECORD.takes == "rows"]
    return ", ".join(f"`{m}`" for m in all_ if m not in {d["method"] for d in found()}) or "none"


def table() -> str:
    """One line a method."""
    raw = next(d["results"][0]["floors"]["raw_input"] for d in found() if "raw_input" in d["results"][0].get("floors", {}))
    pixels = ["raw pixels", "–", "–", tables.share(raw["linear_probe"]), tables.share(raw["knn"]), *["–"] * 4]
    head = ["method", "views", "epochs", "linear probe", "kNN (20, τ 0.07)", "effective rank", "minutes", "MiB", "published"]
    return tables.rows(head, [*map(row, found()), pixels])


def knobs() -> str:
    """Numbers that all of them had."""
    given = next(d for d in found() if d["epochs"])["knobs"]
    return ", ".join(f"{k} {given[k]}" for k in ("batch_size", "lr", "weight_decay", "threads"))


def machine() -> str:
    return next(d for d in found() if d["epochs"])["machine"].split(", load")[0]


def commands() -> str:
    return tables.commands({d["method"]: d for d in found()})
