"""Inputs of every kind that an objective may take (`nearfar.objectives.kernel.info.TAKES`), for the contract tests."""

import importlib
import inspect
from dataclasses import replace
from pathlib import Path

import torch

from nearfar.core.registry import OBJECTIVES
from nearfar.objectives.kernel.relation import Relation

CLASSES = 5
STEPS = 5  # of series
NOT_ROWS = ("weight",)  # arguments that all processes share


def groups(kind, n):
    """Group of each of n rows: own (all different), pairs (two and two), mixed (of one to three), classes."""
    i = torch.arange(n)
    return {"own": i, "pairs": i // 2, "mixed": torch.where(i < 3, 0, i // 2 + 1), "classes": i % CLASSES}[kind]


def build(takes, n, d=6, *, group="own", seed=0, dtype=torch.float64, scale=1.0, views=2):
    """The arguments by name, in order, of an objective that takes this; tensors are leaves with gradient."""
    g = torch.Generator().manual_seed(seed)

    def rows(*shape):
        return (scale * torch.randn(*shape, generator=g, dtype=torch.float64)).to(dtype).requires_grad_()

    relation = Relation(groups("classes" if takes in ("classes", "scores") else group, n))
    if takes == "views":
        return {"views": [rows(n, d) for _ in range(views)], "relation": relation}
    if takes == "classes":
        return {"views": [rows(n, d) for _ in range(views)], "relation": relation, "weight": rows(CLASSES, d)}
    if takes == "scores":
        return {"scores": [rows(n, max(d, CLASSES)) for _ in range(views)], "relation": relation}
    if takes == "sides":
        return {"left": rows(n, d), "right": rows(n, d), "relation": relation}
    if takes == "scored pairs":
        score = torch.randint(0, 4, (n,), generator=g)
        score[: min(2, n)] = torch.arange(min(2, n))  # never all equal
        return {"left": rows(n, d), "right": rows(n, d), "relation": replace(relation, score=score)}
    if takes == "steps":
        there = [torch.rand(n, STEPS, generator=g) < 0.8 for _ in range(views)]
        for mask in there:
            mask[:, 2] = True
        return {"views": [rows(n, STEPS, d) for _ in range(views)], "there": there}
    if takes == "two sides":
        predicted, targets = ([rows(n, d) for _ in range(views)] for _ in range(2))
        return {"predicted": predicted, "targets": targets, "relation": relation}
    if takes == "triplets":
        return {"anchor": rows(n, d), "positive": rows(n, d), "negative": rows(n, 3, d)}
    if takes == "prototypes":
        return {"scores": [rows(n, d) for _ in range(views)], "targets": [rows(n, d) for _ in range(views)]}
    raise AssertionError(f"no test input for an objective that takes {takes!r}; write one here")


def changed(arguments, function, *, rows_only=False):
    """The arguments with `function` applied to every tensor of embeddings."""

    def one(v):  # masks are no embeddings
        return v if v.dtype == torch.bool else function(v)

    out = {}
    for name, value in arguments.items():
        if isinstance(value, Relation) or (rows_only and name in NOT_ROWS):
            out[name] = value
        else:
            out[name] = [one(v) for v in value] if isinstance(value, list) else one(value)
    return out


def some_rows(arguments, which):
    """The arguments of some of the rows, or of the rows in another order."""
    out = changed(arguments, lambda v: v[which], rows_only=True)
    out |= {k: [mask[which] for mask in out[k]] for k in ("there",) if k in out}
    return {k: v.rows(which) if isinstance(v, Relation) else v for k, v in out.items()}


def leaves(arguments):
    """All tensors of embeddings, flat."""
    found = []
    changed(arguments, found.append)
    return found


def function_of(name):
    """The function of an objective."""
    module = OBJECTIVES.get(name)
    return getattr(module, module.INFO.function)


def takes_temperature(name):
    return "temperature" in inspect.signature(function_of(name)).parameters


def reference_of(name):
    """The slow form of an objective, and its cases: sets of parameters."""
    return importlib.import_module(f"tests.objectives.reference.{name}")


REFERENCED = sorted(f.stem for f in (Path(__file__).parents[1] / "objectives" / "reference").glob("[a-z]*.py"))


def cases():
    """(objective, name of the case, parameters) over everything that has a reference."""
    return [(name, case, parameters) for name in REFERENCED for case, parameters in reference_of(name).CASES.items()]


def gradients(loss, arguments):
    """Gradient of every tensor, zero where the loss does not depend on it."""
    xs = leaves(arguments)
    found = torch.autograd.grad(loss, xs, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]


def unit(x):
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def similarity(x, y, kind="cosine"):
    """Of one row with another, in the obvious way."""
    if kind == "cosine":
        return unit(x) @ unit(y)
    if kind == "dot":
        return x @ y
    squared = ((x - y) ** 2).sum()
    if kind == "squared_euclidean":
        return -squared
    return -squared.sqrt() if float(squared.detach()) > 0 else squared
