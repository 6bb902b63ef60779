"""Two and three processes give the loss and the gradients of one, for every method and objective."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfar.core.errors import DataError
from nearfar.core.registry import METHODS
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.objectives.info_nce import info_nce, info_nce_against, info_nce_between
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.sigmoid import sigmoid
from nearfar.objectives.supcon import supcon
from nearfar.training import distributed, train
from nearfar.training.distributed import World
from nearfar.training.launching import launch
from nearfar.training.learner import Learner
from tests.conftest import TINY
from tests.helpers import forked, processes, two
from tests.helpers.methods import TRAINED, ByColumn, resolved, small, taught

ROWS = 24
NEAR = torch.tensor([[(i + 1) % 11, (i + 5) % 11] for i in range(11)])


class Net(ByColumn, torch.nn.Module):
    out_features = 10

    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 10, 3), torch.nn.BatchNorm2d(10)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x))).mean((2, 3))


def learner_of(name, world):
    changes = small(name, 12, 6) | ({"bn_groups": 12} if METHODS.get(name).RECORD.bn_groups > 1 else {})
    torch.manual_seed(0)
    learner = Learner(resolved(name, ROWS, changes), {"x": Net()}, world).double().train()
    if world.size > 1 and learner.record.bn_groups == 1:
        distributed.synchronise_batch_norm(learner)
    return learner


def batch_of(r, share, dim):
    torch.manual_seed(1)
    views = tuple(View(torch.randn(ROWS, 3, 6, 6, dtype=torch.float64)[share], "x") for _ in range(r.count))
    group = torch.arange(ROWS) % 5 if r.positives == "labels" else torch.arange(ROWS)
    said = taught(r, ROWS, dim)
    return ViewBatch(views, Relation(group[share]), torch.arange(ROWS)[share], said if said is None else said[share])


def one_step(name, world, wrap=False):
    """Loss, gradients and state after a step of plain gradient descent."""
    learner = learner_of(name, world)
    model = distributed.wrap(learner, torch.device("cpu")) if wrap else learner
    loss, _, embeddings = model(batch_of(learner.record, world.share(ROWS), learner.dim))
    loss.backward()
    grads = {n: p.grad.clone() for n, p in learner.named_parameters() if p.grad is not None}
    with torch.no_grad():
        for p in learner.parameters():
            if p.grad is not None:
                p -= 0.1 * p.grad
    learner.after_step(embeddings, 0.1)
    total = world.all_reduce(loss.detach()) / world.size
    # statistics of groups are averaged when saved, and each process counts its own groups
    own = ("running_mean", "running_var", "num_batches_tracked") if learner.record.bn_groups > 1 else ()
    kept = {n: b for n, b in learner.state_dict().items() if not n.endswith(own or "\0")}
    return float(total), {f"gradient of {n}": g for n, g in grads.items()} | kept


OBJECTIVE_CASES = {  # what the walk over the registry in tests/helpers/processes.py does not reach
    "ignored": lambda v, g, w: info_nce(v, Relation(g, g // 2), temperature=0.2, world=w)[0],
    "ignored by column": lambda v, g, w: info_nce_between(
        v[0], v[1], Relation(g, torch.stack((g // 3, (g + 1) // 4), 1)), temperature=0.2, world=w
    )[0],
    "sigmoid ignored by column": lambda v, g, w: sigmoid(
        v[0], v[1], Relation(g, torch.stack((g // 3, (g + 1) // 4), 1)), scale=3.0, bias=-1.0, world=w
    )[0],
    "listed": lambda v, g, w: supcon(
        v, Relation(g, positive_rows=(g[:, None] + 3) % 11, negative_rows=NEAR[g]), world=w
    )[0],
    "against": lambda v, g, w: info_nce_against(v[0], v[1], Relation(g), temperature=0.2, world=w)[0],
    "between": lambda v, g, w: info_nce_between(v[0], v[1], Relation(g), negatives=v[1].roll(1, 1)[:, None], world=w)[
        0
    ],
    "one way": lambda v, g, w: info_nce_between(v[0], v[1], Relation(g), both_ways=False, world=w)[0],
}


def objective_step(case, world, rows=11):
    torch.manual_seed(2)
    x = [torch.randn(rows, 4, dtype=torch.float64) for _ in range(2)]
    weight = torch.eye(4, dtype=torch.float64).requires_grad_()
    share = world.share(rows)
    loss = OBJECTIVE_CASES[case]([v[share] @ weight for v in x], torch.arange(rows)[share], world)
    loss.backward()
    return float(world.all_reduce(loss.detach())) / world.size, {"weight": world.all_reduce(weight.grad) / world.size}


def difference(step, wanted):
    """The largest between two steps: of the loss, or of any number of their tensors."""
    (loss, found), (want, expected) = step, wanted
    largest = [(found[k].double() - v.double()).abs().max() for k, v in expected.items()]
    return float(torch.stack([torch.tensor(loss - want).abs(), *largest]).max())


def steps(world, wrap=False):
    """Loss and tensors by name, of every objective and of every method."""
    found = processes.steps(world) | {case: objective_step(case, world) for case in OBJECTIVE_CASES}
    return found | {name: one_step(name, world, wrap) for name in TRAINED}


def work(folder):
    torch.set_num_threads(1)
    world = distributed.world()
    wanted = torch.load(Path(folder, "wanted"))
    found = {case: difference(step, wanted[case]) for case, step in steps(world, wrap=True).items()}
    Path(folder, f"{world.rank}.json").write_text(json.dumps({"size": world.size, "differences": found}))


@pytest.fixture(scope="module")
def wanted():
    return steps(World())


@pytest.mark.parametrize("size", [2, 3])
def test_many_processes_equal_one(size, wanted, tmp_path):
    torch.save(wanted, tmp_path / "wanted")
    forked.launch(work, (str(tmp_path),), size)
    for rank in range(size):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["size"] == size
        assert found["differences"].keys() == wanted.keys()
        wrong = {case: d for case, d in found["differences"].items() if not d < 1e-9}
        assert not wrong, (rank, wrong)


def fail():
    if distributed.world().rank == 1:
        raise DataError("a row is bad.", where="x.csv:3")
    distributed.world().barrier()


def test_a_failing_process_is_one_sentence_and_leaves_no_orphans():
    with pytest.raises(DataError, match="a row is bad"):
        launch(fail, (), 2)
    assert "WORLD_SIZE" not in os.environ


def test_training_with_two_processes(digits, tiny, tmp_path):
    given = tiny | {"epochs": 1, "method": "byol", "predictor": {"hidden": 16, "out": 16}, "holdout": 0.05}
    one = train.train(digits, out=tmp_path / "one", **given)
    both = train.train(digits, out=tmp_path / "two", processes=2, **given)
    assert "knn" in one.metrics[0] and both.metrics[0] == one.metrics[0]  # the look before the first step
    losses = [[m["loss"] for m in t.metrics[1:]] for t in (one, both)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    a, b = (t.model.encode(digits["test"][0][:50]) for t in (one, both))
    np.testing.assert_allclose(a, b, atol=2e-3)


SHARDED, AVERAGED = TINY | {"epochs": 1, "wrap": "shard"}, TINY | {"epochs": 1, "average": 0.6, "lr": 2.5e-4}


def kept(folder):
    """Sharded, and half of the weights of a run in this folder are kept."""
    return SHARDED | {"init_from": str(folder / "start"), "interpolate": 0.5}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    train.train(digits, out=folder / "start", **TINY | {"epochs": 1, "seed": 1})
    return two.trainings(digits, folder, sharded=SHARDED, averaged=AVERAGED, kept=kept(folder))


def test_sharded_parameters(digits, trained, tmp_path):
    one = train.train(digits, out=tmp_path / "one", **SHARDED)
    np.testing.assert_allclose(one.metrics[-1]["loss"], trained["sharded"].metrics[-1]["loss"], rtol=1e-3)
    a, b = (t.encode(digits["test"][0][:50]) for t in (one, trained["sharded"]))
    np.testing.assert_allclose(a, b, atol=5e-3)


def test_averaging_with_two_processes(digits, trained):
    one = train.train(digits, **AVERAGED)
    a, b = (t.encode(digits["test"][0][:50]) for t in (one, trained["averaged"]))
    np.testing.assert_allclose(a, b, atol=2e-3)


def test_keeping_with_two_processes(digits, trained):
    one = train.train(digits, **kept(trained["kept"].path.parent))
    a, b = (t.encode(digits["test"][0][:50]) for t in (one, trained["kept"]))
    np.testing.assert_allclose(a, b, atol=5e-3)


def test_shares_are_contiguous_and_complete():
    world = World()
    world.size = 3
    parts = []
    for rank in range(3):
        world.rank = rank
        parts += list(range(11))[world.share(11)]
    assert parts == list(range(11))
