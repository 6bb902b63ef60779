"""Runs that differ by their seed alone: mean and standard deviation of every figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfar.core.names import real

NO_FIGURES = ("settings", "interval", "draws", "confusion", "views", "rows", "dimensions")


def over_seeds(models: Sequence[Any], results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each set of at least two models whose configurations differ by the seed alone.

    Returns
    -------
    list of dict
        ``name``, ``runs``, ``seeds``, ``n``, and ``figures``: of the form of a result, with ``n``, ``mean`` and ``sd``
        (of the sample, n − 1 below) in place of each number.
    """
    together: dict[str, list[int]] = {}
    for i, model in enumerate(models):
        if len(model.members) == 1:  # an ensemble is no run of a seed
            same = replace(model.config, train=replace(model.config.train, seed=0))
            together.setdefault(json.dumps(same.as_dict(), sort_keys=True), []).append(i)
    entries = []
    for members in together.values():
        seeds = [models[i].config.train.seed for i in members]
        if len(members) < 2 or len(set(seeds)) < len(seeds):
            continue
        homes = {None if models[i].path is None else real(models[i].path).parent for i in members}
        home = homes.pop()
        name = f"{'' if homes or home is None else f'{home.name}, '}{len(members)} seeds"
        figures = _over([results[i] for i in members]) or {}
        runs = [results[i]["run"] for i in members]
        entries.append({"name": name, "runs": runs, "seeds": seeds, "n": len(members), "figures": figures})
    return entries


def _over(values: Sequence[Any]) -> Any:
    """The values of equal places in several results: numbers become n, mean and sd, equal words stay."""
    first = values[0]
    if isinstance(first, dict):
        shared = [k for k in first if k not in NO_FIGURES and all(k in v for v in values)]
        inner = {k: _over([v[k] for v in values]) for k in shared}
        return {k: v for k, v in inner.items() if v is not None} or None
    if isinstance(first, list):
        same = len({len(v) for v in values}) == 1
        inner = [_over(place) for place in zip(*values, strict=True)] if same else []
        return inner if inner and None not in inner else None
    if all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values):
        x = np.asarray(values, float)
        return {"n": len(x), "mean": float(x.mean()), "sd": float(x.std(ddof=1))}
    return first if isinstance(first, str) and set(values) == {first} else None
