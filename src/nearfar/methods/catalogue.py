"""The methods as a list for people, with what they reached; the function behind ``nearfar methods``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.listing import flat
from nearfar.core.registry import METHODS
from nearfar.methods import record

if TYPE_CHECKING:
    from nearfar.core.console import Console

FIGURES = Path(__file__).with_name("figures.json")
SCALE = (
    "Cost: work of a step, relative to simclr's. Here: CIFAR-10, 10,000 rows, 200,000 views, on a processor "
    "(docs/results/methods.md); ranks of short runs are not ranks of long ones."
)


@cache
def figures() -> Mapping[str, Mapping[str, float]]:
    """What every method reached in the committed comparison (docs/results/methods.md), by name."""
    return json.loads(FIGURES.read_text(encoding="utf-8"))["methods"] if FIGURES.exists() else {}


@dataclass(frozen=True)
class MethodList:
    """What `list_methods` gives: all records, or everything about the one that was `asked` for."""

    records: tuple[record.Method, ...]
    asked: str | None = None

    def __repr__(self) -> str:
        return _all_about(self.records[0]) if self.asked else _list(self.records)

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar methods --json`` prints."""
        results = [
            {"name": r.name, "idea": r.idea, "paper": str(r.paper), "needs": r.needs, "cost": r.cost,
             "measured": figures().get(r.name), "expected": r.expected, "record": record.as_dict(r),
             "published": [{"value": f.value, "what": f.what, "setting": f.setting} for f in r.published]}
            for r in self.records
        ]  # fmt: skip
        return {"schema": 1, "verb": "methods", "results": results}


def list_methods(name: str | None = None, *, console: Console | None = None) -> MethodList:
    """List the training methods, or with `name` everything about one.

    Raises
    ------
    UnknownName
        There is no such method.
    """
    return MethodList(tuple(map(record.resolve, METHODS if name is None else [name])), name)


def _list(records: tuple[record.Method, ...]) -> str:
    width, lines = max(len(r.name) for r in records), []
    for r in records:
        published = f"; published {r.published[0].value:.3f} ({r.published[0].setting})" if r.published else ""
        lines += [f"{r.name:<{width}}  {r.idea}", f"{'':<{width}}  {_facts(r)}{published}"]
    return "\n".join(
        [*lines, "", SCALE, "`nearfar methods NAME` shows everything about one; --method auto chooses by the data."]
    )


def _all_about(r: record.Method) -> str:
    lines = [f"{r.name}: {r.idea}", str(r.paper or "no paper"), _facts(r)]
    lines += [f"published: {f.value:.3f} {f.what}, {f.setting}" for f in r.published]
    lines += [f"here: {r.expected}"] if r.expected else []
    numbers = {k: v for k, v in record.as_dict(r).items() if k != "name"}
    return "\n".join([*lines, "", "Its knobs (--set method.KEY=VALUE):", *(f"  {k} = {v}" for k, v in flat(numbers))])


def _facts(r: record.Method) -> str:
    """What a method needs, costs and reached, in a line."""
    reached = figures().get(r.name)
    here = f"; here {reached['linear']:.3f} linear, {reached['knn']:.3f} kNN" if reached else ""
    return f"needs {r.needs}; cost {r.cost:.2g}{here}"
