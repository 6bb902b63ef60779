"""What docs/reliability.md shows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import tables

HEAD = ["verb", "operations", "cases", "lost", "cannot go on", "left over", "wrong sentence"]
KINDS = ("lost", "stuck", "left over", "sentence")
SAMPLES = {
    "all": "every operation with each of these",
    "three": "every operation failing once in each of the first two ways, and never reached",
    "each": "every operation with one of these, drawn by the seed",
}


@cache
def found() -> dict[str, dict[str, Any]]:
    return tables.read("reliability")


def megabytes(name: str) -> str:
    """A size that was measured in KiB."""
    return f"{found()['size'][name] * 1024 / 1e6:,.0f} MB"


slim, model, checkpoint, kept = (partial(megabytes, name) for name in ("slim", "model", "checkpoint", "kept"))


def sample() -> str:
    how = found()["operations"]["sample"]
    return SAMPLES.get(how, f"a sample of {how} cases of every verb")


def operations() -> str:
    """One line a verb, and their sum."""
    d = found()["operations"]
    body = [[name, *(f"{v[k]:,}" for k in ("operations", "cases", *KINDS))] for name, v in d["verbs"].items()]
    total = d["total"]
    body.append(["**all**", *(f"**{total[k]:,}**" for k in ("operations", "cases", *KINDS))])
    return tables.rows(HEAD, body)


def other(name: str) -> str:
    """What another walk found: its numbers, and those by kind."""
    d = found()[name]
    whole = {k.replace("_", " "): v for k, v in d.items() if isinstance(v, int) and k not in ("seed", "seconds")}
    whole |= {k: len(d[k]) for k in ("faults", "lost") if isinstance(d.get(k), list)} | d.get("outcomes", {})
    parts = [f"{_listed(whole)}."]
    parts += [f"By {way}: {_listed(counts)}." for way, counts in d.get("by", {}).items()]
    parts += [_table(d[k]) for k in ("groups", "formats", "by_damage") if k in d]
    return "\n\n".join([*parts, *([f"Seed {d['seed']}."] if "seed" in d else [])])


kills, folders, files, values = (partial(other, name) for name in ("kills", "folders", "files", "values"))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _table(found: Mapping[str, Mapping[str, int]]) -> str:
    columns = list(dict.fromkeys(k for row in found.values() for k in row))
    return tables.rows(["", *columns], [[k, *(f"{row.get(c, 0):,}" for c in columns)] for k, row in found.items()])
