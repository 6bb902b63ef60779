"""``nearfar methods``."""

from __future__ import annotations

import click

from nearfar import record
from nearfar.cli import common, console
from nearfar.registry import METHODS


@click.command(short_help="List the ways of learning.")
@click.argument("name", required=False)
@common
def command(name: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """List the ways of learning; with NAME, everything about one."""
    to = console(as_json, False, debug)
    if name is None:
        records = [METHODS.get(m).RECORD for m in METHODS]
        width = max(len(r.name) for r in records)
        for r in records:
            best = r.published[0] if r.published else None
            to.say(f"{r.name:<{width}}  {r.idea}")
            to.say(
                f"{'':<{width}}  needs {r.needs}; {r.paper}"
                + (f"; published {best.value:.3f} ({best.setting})" if best else "")
            )
        to.result({"schema": 1, "verb": "methods", "results": [_as_json(r) for r in records]})
        return
    r = METHODS.get(name).RECORD
    to.say(f"{r.name}: {r.idea}\n{r.paper}\nneeds {r.needs}")
    for f in r.published:
        to.say(f"published: {f.value:.3f} {f.what}, {f.setting}")
    if r.expected:
        to.say(f"here: {r.expected}")
    to.say("\nIts numbers (--set method.KEY=VALUE):")
    for key, value in _lines(record.as_dict(r)):
        to.say(f"  {key} = {value}")
    to.result({"schema": 1, "verb": "methods", "results": [_as_json(r)]})


def _as_json(r: record.Method) -> dict:
    published = [{"value": f.value, "what": f.what, "setting": f.setting} for f in r.published]
    return {"name": r.name, "idea": r.idea, "paper": str(r.paper), "needs": r.needs, "published": published,
            "expected": r.expected, "record": record.as_dict(r)}  # fmt: skip


def _lines(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{key}.")
        elif prefix or key != "name":
            lines.append((prefix + key, value))
    return lines
