"""Tables with sparse gradients move as in AdamW, and only in the rows that have one."""

import pytest
import torch
from torch import nn

from nearfar.training import optim


def trained(sparse, steps, rows):
    torch.manual_seed(0)
    module = nn.ModuleDict({"table": nn.Embedding(6, 3, sparse=sparse), "layer": nn.Linear(3, 2)})
    optimizer = optim.build(module, "adamw", 0.1, 0.05)
    for i in range(steps):
        optimizer.zero_grad(set_to_none=True)
        module["layer"](module["table"](torch.tensor(rows[i % len(rows)]))).square().sum().backward()
        optimizer.step()
    return module, optimizer


def test_rows_that_always_come_move_as_in_adamw():
    every = [[0, 1, 2, 3, 4, 5, 5]]
    for a, b in zip(trained(True, 4, every)[0].parameters(), trained(False, 4, every)[0].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_other_rows_stay_as_they_are():
    begun, _ = trained(True, 0, [[1]])
    module, optimizer = trained(True, 3, [[1, 4], [4]])
    moved = (module["table"].weight != begun["table"].weight).any(1)
    assert moved.tolist() == [False, True, False, False, True, False]
    kept = optim.state_tensors(optimizer, module)
    assert not kept["table.weight/exp_avg"][[0, 2, 3, 5]].any() and kept["table.weight/exp_avg"][4].any()


def test_the_state_goes_on():
    module, optimizer = trained(True, 3, [[1, 4], [4]])
    again = optim.build(module, "adamw", 0.1, 0.05)
    optim.load_state_tensors(again, module, optim.state_tensors(optimizer, module))
    assert again.state[module["table"].weight]["step"] == pytest.approx(3)
