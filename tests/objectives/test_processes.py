"""Two and three processes give the loss and the parameter gradients of one, for every objective and every case."""

import json
from pathlib import Path

import pytest
import torch

from nearfar import distributed
from nearfar.distributed import World
from nearfar.registry import OBJECTIVES
from tests.objectives.inputs import build, cases, changed, function_of, some_rows

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
    gradients = [
        matrix.grad if matrix.grad is not None else torch.zeros_like(matrix),
        *(s.grad for s in shared.values()),
    ]
    return float(world.all_reduce(loss.detach())) / world.size, [world.all_reduce(g) / world.size for g in gradients]


def everything():
    return [(f"{n} {c} {g}", n, p, g) for n, c, p in cases() for g in ("own", "mixed")]


def work(folder, expected):
    torch.set_num_threads(1)
    world, differences = distributed.world(), {}
    for case, name, parameters, group in everything():
        loss, gradients = one_step(name, parameters, group, world)
        want, want_gradients = expected[case]
        found = [abs(loss - want)] + [
            float((a - b).abs().max()) for a, b in zip(gradients, want_gradients, strict=True)
        ]
        differences[case] = max(found)
    Path(folder, f"{world.rank}.json").write_text(json.dumps(differences))


@pytest.mark.parametrize("processes", [2, 3])
def test_many_processes_equal_one(processes, tmp_path):
    expected = {case: one_step(n, p, g, World()) for case, n, p, g in everything()}
    distributed.launch(work, (str(tmp_path), expected), processes)
    for rank in range(processes):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        wrong = {case: d for case, d in found.items() if not d < 1e-9}
        assert not wrong, (rank, wrong)
        assert len(found) == len(expected)
