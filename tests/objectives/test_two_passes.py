"""Batches larger than memory: gradient caching equals one pass for every objective that compares embeddings."""

import pytest
import torch

from nearfar.core.registry import OBJECTIVES
from nearfar.methods import record
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.training.distributed import World
from nearfar.training.gradient_cache import backward
from nearfar.training.learner import Learner
from tests.helpers.inputs import build, cases, function_of

ROWS, CHUNK = 16, 4


class Net(torch.nn.Module):
    """An encoder without batch norm."""

    out_features = 12

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(9, 12)

    def forward(self, x):
        return self.layer(x).tanh()


def arguments_from(takes, e, given):
    """The objective's arguments out of what a method's `compare` gets."""
    first, second = e.online
    if takes in ("sides", "scored pairs"):
        return {"left": first, "right": second, "relation": e.relation}
    if takes == "triplets":
        return {"anchor": first, "positive": second, "negative": second.roll(1, 0)[:, None]}
    names = {"two sides": ("predicted", "targets"), "prototypes": ("scores", "targets")}.get(takes)
    if names:
        return dict(zip(names, ([first, second], [second, first]), strict=True)) | (
            {"relation": e.relation} if takes == "two sides" else {}
        )
    name = next(iter(given))
    return {name: [first, second], "relation": e.relation} | ({"weight": given["weight"]} if "weight" in given else {})


# gradients of steps are not kept by chunks
CASES = [c for c in cases() if OBJECTIVES.get(c[0]).INFO.takes != "steps"]


@pytest.mark.parametrize(("name", "case", "parameters"), [pytest.param(*c, id=f"{c[0]}-{c[1]}") for c in CASES])
def test_two_passes_equal_one(name, case, parameters):
    takes = OBJECTIVES.get(name).INFO.takes
    given = build(takes, ROWS, 6, group="mixed")
    torch.manual_seed(0)
    head = {"projector": {"hidden": 8, "out": 6, "norm": False}}
    learner = Learner(record.resolve("simclr", head), {"x": Net()}, World()).double().train()
    learner.compare = lambda e, _: function_of(name)(**arguments_from(takes, e, given), **parameters)
    views = tuple(View(torch.randn(ROWS, 9, dtype=torch.float64), "x") for _ in range(2))
    batch = ViewBatch(views, given["relation"] if "relation" in given else build("views", ROWS)["relation"])

    loss, _, _ = learner(batch)
    loss.backward()
    one = {n: p.grad.clone() for n, p in learner.named_parameters()}
    shared = given["weight"].grad.clone() if "weight" in given else None
    learner.zero_grad()
    if shared is not None:
        given["weight"].grad = None
    again, _, _ = backward(learner, batch, CHUNK, seed=0)
    assert float(again) == pytest.approx(float(loss.detach()), abs=1e-10)
    for n, p in learner.named_parameters():
        assert torch.allclose(p.grad, one[n], atol=1e-10), n
    if shared is not None:
        assert torch.allclose(given["weight"].grad, shared, atol=1e-10)
