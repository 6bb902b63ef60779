"""``nearfar methods``."""

from __future__ import annotations

import click

from nearfar.cli import common, console
from nearfar.core.registry import METHODS
from nearfar.methods import record
from nearfar.training.plan.auto_method import figures

SCALE = (
    "Cost: work of a step, simclr's being 1. Here: CIFAR-10, 10,000 rows, 200,000 views, on a processor "
    "(docs/results/methods.md); ranks of short runs are not ranks of long ones."
)


@click.command(short_help="List the ways of learning.")
@click.argument("name", required=False)
@common
def command(name: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """List the ways of learning; with NAME, everything about one."""
    to = console(as_json, False, debug)
    if name is None:
        records = [record.resolve(m) for m in METHODS]
        width = max(len(r.name) for r in records)
        for r in records:
            to.say(f"{r.name:<{width}}  {r.idea}")
            best = r.published[0] if r.published else None
            published = f"; published {best.value:.3f} ({best.setting})" if best else ""
            to.say(f"{'':<{width}}  {_facts(r)}{published}")
        to.say(f"\n{SCALE}\n`nearfar methods NAME` has everything about one; --method auto chooses by the data.")
        to.result({"schema": 1, "verb": "methods", "results": [_as_json(r) for r in records]})
        return
    r = record.resolve(name)
    to.say(f"{r.name}: {r.idea}\n{r.paper or 'no paper'}\n{_facts(r)}")
    for f in r.published:
        to.say(f"published: {f.value:.3f} {f.what}, {f.setting}")
    if r.expected:
        to.say(f"here: {r.expected}")
    to.say("\nIts numbers (--set method.KEY=VALUE):")
    for key, value in _lines(record.as_dict(r)):
        to.say(f"  {key} = {value}")
    to.result({"schema": 1, "verb": "methods", "results": [_as_json(r)]})


def _facts(r: record.Method) -> str:
    """Needs, cost and figures in a line."""
    said = [f"needs {r.needs}", f"cost {r.cost:.2g}"]
    if found := figures().get(r.name):
        said.append(f"here {found['linear']:.3f} linear, {found['knn']:.3f} kNN")
    return "; ".join(said)


def _as_json(r: record.Method) -> dict:
    published = [{"value": f.value, "what": f.what, "setting": f.setting} for f in r.published]
    return {"name": r.name, "idea": r.idea, "paper": str(r.paper), "needs": r.needs, "cost": r.cost,
            "measured": figures().get(r.name), "published": published,
            "expected": r.expected, "record": record.as_dict(r)}  # fmt: skip


def _lines(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{key}.")
        elif prefix or key != "name":
            lines.append((prefix + key, value))
    return lines
