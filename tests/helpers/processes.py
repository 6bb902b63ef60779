"""A step of every objective and every case, alone or as one of many processes; see tests/training/test_distributed.py."""

import torch

from nearfar.core.registry import OBJECTIVES
from tests.helpers.inputs import build, cases, changed, function_of, some_rows

ROWS = 11  # shares of 6 and 5, and of 4, 4 and 3


def one_step(name, parameters, group, world):
    """Loss, and gradient of a matrix that all rows go through and of what the processes share."""
    info = OBJECTIVES.get(name).INFO
    rows = max(ROWS, info.least_rows(6))
    whole = changed(build(info.takes, rows, 6, group=group, seed=2), lambda v: v.detach())
    share = some_rows(whole, world.share(rows))
    matrix = torch.eye(6, dtype=torch.float64).requires_grad_()
    shared = {k: v.requires_grad_() for k, v in share.items() if k == "weight"}
    inputs = changed(share, lambda v: v @ matrix, rows_only=True) | shared
    loss = function_of(name)(**inputs, **parameters, world=world)[0]
    loss.backward()
    gradients = {"matrix": torch.zeros_like(matrix) if matrix.grad is None else matrix.grad}
    gradients |= {k: v.grad for k, v in shared.items()}
    total = float(world.all_reduce(loss.detach())) / world.size
    return total, {k: world.all_reduce(g) / world.size for k, g in gradients.items()}


def everything():
    return [(f"{n} {c} {g}", n, p, g) for n, c, p in cases() for g in ("own", "mixed")]


def steps(world):
    """Loss and gradients of every objective and every case, by a name that says which."""
    return {case: one_step(n, p, g, world) for case, n, p, g in everything()}
