"""Which rows of tables are trained, and tensors of them in the shape of whole tables and back.

Of 65,536 hashed words and parts of words a corpus of ten thousand short texts has ten thousand. A step that goes over
the table would spend its time on the others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from nearfar.core import files
from nearfar.encoders.text.tables import INSIDE, LEFT, Tables
from nearfar.models.run import Run
from nearfar.training.learner import Learner
from nearfar.training.plan.prepare import Plan

ROWS = 4096  # looked at together

Tensors = Mapping[str, torch.Tensor]


def narrow(learner: Learner, plan: Plan, run: Run | None = None) -> None:
    """Train of each table the rows that occur in the training rows, where the same weights come of it.

    Those that were trained when the checkpoint of `run` was written are among them, also if the data have changed.
    """
    config = plan.config
    changes = [t for recipes in plan.recipes.values() for recipe in recipes for t in recipe]
    ours = all(type(t).__module__.startswith("nearfar.") for t in changes)
    # LARS looks at all rows of a table together; a plug-in's views may bring in what occurs nowhere; shards stay whole.
    if config.train.wrap == "shard" or config.optim.name == "lars" or not ours:
        return
    seen = [(name, column.values, plan.train) for name, column in plan.columns.items()]
    seen += [(h.side, h.column.values, h.rows[plan.train]) for h in plan.hard]
    for name, branch in learner.branches.items():
        encoder = branch.encoder
        if branch.locked or not isinstance(encoder, Tables):
            continue
        inside = np.zeros(len(getattr(encoder, encoder.TABLES[0])), bool)
        for column, values, rows in seen:
            if learner.branches[column] is branch:
                for start in range(0, len(rows), ROWS):
                    inside[np.abs(np.asarray(values[rows[start : start + ROWS]]))] = True
        inside[0] = False  # 0 is where there is no token
        mark = torch.from_numpy(inside)
        if run is not None and (key := f"branches.{name}.encoder.{INSIDE}") in files.tensor_header(run.checkpoint_file):
            mark |= files.one_tensor(run.checkpoint_file, key)
        mark = mark.to(next(encoder.parameters()).device)
        encoder.narrow(mark)
        if learner.twin is not None:
            learner.twin.network[name].encoder.narrow(mark)


def widened(learner: Learner) -> Learner:
    """The learner with whole tables: itself, or a copy."""
    if not any(m.rest for _, m in _tables(learner)):
        return learner
    learner = copy.deepcopy(learner)
    for _, m in _tables(learner):
        m.widen()
    return learner


def whole(module: nn.Module, tensors: Tensors) -> dict[str, torch.Tensor]:
    """Tensors by names of parameters, or by ``parameter/quantity``, in the shapes of whole tables."""
    made = dict(tensors)
    for m, name, key, left in _entries(module, tensors):
        if tensors[key].shape == getattr(m, name).shape:
            made[key] = m.expanded(name, tensors[key], tensors.get(left, 0.0))
    return made


def rows(module: nn.Module, tensors: Tensors) -> dict[str, torch.Tensor]:
    """The inverse of `whole`; where nothing says what is left of the other rows, they themselves do."""
    made = dict(tensors)
    for m, name, key, left in _entries(module, tensors):
        table, inside = tensors[key], m.inside.cpu()
        if table.shape[:1] == inside.shape:
            made[key] = table[inside]
            table = _share(table[~inside], m.rest[name].cpu())
        made.setdefault(left, table.clone())
    return made


def fitting(learner: Learner, tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint in which other rows were trained than now: all, or not all."""
    made, ends = dict(tensors), [INSIDE]
    for path, m in _tables(learner):
        held = f"{path}{INSIDE}" in tensors
        for key, left in ((f"{path}{name}", f"{path}{name}{LEFT}") for name in m.TABLES if held != bool(m.rest)):
            table = made[key] = tensors[key].clone()
            if held:
                table[~tensors[f"{path}{INSIDE}"]] *= tensors[left]
                ends.append(left.rpartition(".")[2])
            else:  # a twin follows what its network is times one number, so it has to begin as that
                other, begun = ~m.inside.cpu(), tensors[key.replace("twin.network.", "branches.", 1)]
                made[left] = _share(table[other], begun[other])
                table[other] = begun[other]
    if len(ends) == 1:
        return made
    return {k: v for k, v in made.items() if not any(p.rpartition(".")[2] in ends for p in k.split("/"))}


def beside(module: nn.Module, header: Tensors) -> dict[str, torch.Tensor]:
    """What a checkpoint with these tensors holds beside the tables of a module, without numbers."""
    state, made = module.state_dict(), {}
    for path, m in _tables(module):
        tables = {name: state[f"{path}{name}"] for name in m.TABLES}
        made |= {f"{path}{n}{LEFT}": t.new_empty((1,) * t.dim(), device="meta") for n, t in tables.items()}
        made[f"{path}{INSIDE}"] = torch.empty(len(tables[m.TABLES[0]]), dtype=torch.bool, device="meta")
    return made if any(key in header for key in made) else {}


def _tables(module: nn.Module) -> list[tuple[str, Tables]]:
    """The encoders with tables in a module, and what their parameters' names begin with."""
    return [(f"{path}." if path else "", m) for path, m in module.named_modules() if isinstance(m, Tables)]


def _entries(module: nn.Module, tensors: Tensors) -> Iterator[tuple[Tables, str, str, str]]:
    """Narrow tables: encoder, name, the key of a tensor, and the key of what is left of the other rows."""
    known = {f"{path}{name}": (m, name) for path, m in _tables(module) for name in m.rest}
    for key in tensors:
        base, slash, quantity = key.partition("/")
        if base in known:
            yield *known[base], key, f"{base}{LEFT}{slash}{quantity}"


def _share(rows: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """By what number rows are the multiple of others, with as many axes."""
    least = torch.finfo(of.dtype).tiny
    return ((rows * of).sum() / of.square().sum().clamp(min=least)).reshape((1,) * of.dim())
