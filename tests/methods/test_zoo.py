"""What single methods bring along: multi-crop, foresight, clusters, queues, the choice by the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.registry import METHODS
from nearfar.methods import record
from nearfar.methods.embeddings import Embeddings, View, ViewBatch
from nearfar.methods.no_learning import no_learning
from nearfar.methods.parts import Facts
from nearfar.methods.parts.cluster_bank import NOBODY, Clustering, _concentration
from nearfar.methods.parts.heads import Directions
from nearfar.methods.parts.predictive import Foresight
from nearfar.methods.parts.queue import Queue
from nearfar.models import loading
from nearfar.objectives.kernel.relation import Relation
from nearfar.training import train
from nearfar.training.distributed import World
from nearfar.training.learner import Learner
from nearfar.training.plan import auto_method
from tests.helpers.methods import TRAINED, of_time, resolved, small, taught

# cpc's views are places of a grid, and steps of views of two sizes do not correspond
SEVERAL = [m for m in TRAINED if METHODS.get(m).RECORD.count > 1 and m != "cpc" and not of_time(m)]


class Net(torch.nn.Module):
    out_features = 12

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 12, 3)

    def forward(self, x):
        return self.layer(x).tanh().mean((2, 3))


@pytest.mark.parametrize("name", SEVERAL)
def test_small_crops_work_with_every_method(name):
    """Two global views and two local ones: all take part, none of the local ones is a target."""
    r = resolved(name, 16, small(name, 8, 6) | {"count": 4, "bn_groups": 1, "shuffle": False})
    torch.manual_seed(0)
    learner = Learner(r, {"x": Net()}, World()).train()
    views = [View(torch.randn(16, 3, s, s, requires_grad=True), "x", role)
             for s, role in ((8, "global"), (8, "global"), (4, "local"), (4, "local"))]  # fmt: skip
    group = torch.arange(16) // 2 if r.positives == "labels" else torch.arange(16)
    said = taught(r, 16, learner.dim)
    loss, _, e = learner(ViewBatch(tuple(views), Relation(group), torch.arange(16), said if said is None else said.float()))
    loss.backward()
    one_way = r.twin is not None and not r.symmetric
    assert {j for _, j in e.pairs} == ({1} if one_way else {0, 1})
    assert [v.values.grad is not None for v in views] == [True, not one_way, True, True]
    assert all(float(v.values.grad.abs().max()) > 0 for v in views if v.values.grad is not None)


def test_a_recipe_of_several_views_is_taken_whole():
    images = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)
    plan = train.plan(Config().set("model.method", "byol").set("views.recipe", "swav"), source=images)
    assert plan.record.count == 8
    assert any("8 views" in note for note in plan.notes)
    asked = Config().set("model.method", "byol").set("views.recipe", "swav").set("method.count", 3)
    assert train.plan(asked, source=images).record.count == 3


def test_too_small_a_batch_is_told_before_training(digits):
    with pytest.raises(DataError, match="at least 65 rows"):
        train.train(digits, method="w_mse", batch_size=32, epochs=1)


def test_open_numbers_of_parts_come_from_the_data(digits, tiny, tmp_path):
    knobs = {k: v for k, v in tiny.items() if k != "projector"}
    train.train(digits, **knobs | {"method": "supervised", "out": tmp_path / "run"})
    stored = Config.from_dict(__import__("json").loads((tmp_path / "run/config.json").read_text())["config"])
    assert stored.method["parts"]["classifier"]["classes"] == 10
    clusters = (
        record.resolve("pcl").resolved(Facts(rows=900, train_rows=700, classes=0, steps_per_epoch=5)).parts["clusters"]
    )
    assert (clusters.size, clusters.rows, clusters.every) == (7, 900, 5)


def test_random_is_the_encoder_as_it_is_drawn(digits, tmp_path):
    trained = train.train(digits, method="random", out=tmp_path / "run", encoder_options={"widths": [8, 16]})
    assert trained.plan.config.train.epochs == 0
    a, b = trained.model.encode(digits["test"][0][:20]), trained.model.untrained().encode(digits["test"][0][:20])
    np.testing.assert_array_equal(a, b)


# --- foresight ------------------------------------------------------------------------------------------------


def test_foresight_tells_rows_ahead_from_rows_above_only():
    torch.manual_seed(0)
    f = Foresight(dim=4, rows=4, columns=3, hidden=8, ahead=2)
    views = [torch.randn(5, 4, requires_grad=True) for _ in range(12)]
    told = f(views)
    assert len(told) == 3  # rows 2 and 3 from row 0 (2 and 3 ahead), row 3 from row 1
    grid = torch.stack(views, 1).unflatten(1, (4, 3))
    for (prediction, there), row in zip(told, (2, 3, 3), strict=True):
        assert prediction.shape == there.shape == (5, 3, 4)
        assert torch.equal(there, grid[:, row])
    seen = torch.autograd.grad(told[1][0].sum(), views, allow_unused=True)  # row 3 told from row 1
    moved = [g is not None and float(g.abs().max()) > 0 for g in seen]
    assert moved == [True] * 6 + [False] * 6
    with pytest.raises(ValueError, match="4 × 3"):
        f(views[:11])
    with pytest.raises(ValueError, match="ahead"):
        Foresight(4, 2, 1, 8, ahead=2)


# --- clusters -------------------------------------------------------------------------------------------------


def embeddings_of(z, index):
    return Embeddings((), (z,), (z,), (z,), pairs=(), relation=Relation(index), parts={}, world=World(), index=index)


def test_clusters_of_two_heaps():
    torch.manual_seed(0)
    centres = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    z = centres.repeat(10, 1) + 0.05 * torch.randn(20, 3)
    part = Clustering(rows=30, dim=3, sizes=[2, 4], every=2, smoothing=10.0)
    index = torch.arange(20)
    assert part.loss(z, index, 0.2, World()) is None
    part.after_step(embeddings_of(z[:10], index[:10]))
    part.after_step(embeddings_of(z[10:], index[10:]))
    own = part.nearest[0]
    assert len(set(own[:20:2].tolist())) == len(set(own[1:20:2].tolist())) == 1
    assert own[0] != own[1]
    assert (own[20:] == NOBODY).all()
    right = part.loss(centres.repeat(10, 1), index, 0.2, World())
    wrong = part.loss(centres.flip(0).repeat(10, 1), index, 0.2, World())
    assert float(right) < 0.5 * float(wrong)
    # rows that no clustering saw change nothing; a batch of such rows alone has loss 0 and a gradient
    some = part.loss(centres.repeat(10, 1).repeat(2, 1)[:30], torch.arange(30), 0.2, World())
    assert float(some) == pytest.approx(float(right), abs=1e-5)
    nobody = part.loss(centres.requires_grad_(), torch.tensor([25, 26]), 0.2, World())
    assert float(nobody.detach()) == 0
    nobody.backward()


def test_concentration_is_the_papers():
    x = torch.tensor([[1.0, 0], [0.8, 0.6], [0, 1.0], [0, 1.0], [0.6, 0.8], [-1.0, 0]])
    own = torch.tensor([0, 0, 1, 1, 1, 2])
    centres = torch.stack([x[own == c].mean(0) for c in range(3)])
    phi = []
    for c in (0, 1):
        d = (x[own == c] - centres[c]).norm(dim=1)
        phi.append(float(d.sum() / (len(d) * np.log(len(d) + 10))))
    phi = np.array([*phi, max(phi)])  # the third has one row
    phi = np.clip(phi, *np.quantile(phi, [0.1, 0.9]))
    np.testing.assert_allclose(_concentration(x, centres, own, 10.0), phi / phi.mean(), rtol=1e-5)


# --- queues and directions ------------------------------------------------------------------------------------


def test_the_nearest_key_and_the_online_side():
    torch.manual_seed(0)
    queue = Queue(6, 3, side="online")
    first, second = torch.eye(3), torch.full((3, 3), 5.0)
    e = Embeddings((), (first, second), (first, second), (None, None), pairs=(), relation=Relation(torch.arange(3)),
                   parts={}, world=World())  # fmt: skip
    queue.after_step(e)
    assert torch.equal(queue.keys[:3], torch.eye(3))
    assert int(queue.position) == 3  # the first view alone
    z = (torch.eye(3) + 0.01).requires_grad_()
    assert torch.allclose(queue.nearest(2 * z), torch.eye(3))
    assert not queue.nearest(z).requires_grad


def test_directions_are_cosines():
    d = Directions(4, 5)
    z = torch.randn(3, 4)
    with torch.no_grad():
        d.weight.mul_(7)
    want = torch.nn.functional.cosine_similarity(z[:, None], d.weight[None], dim=2)
    assert torch.allclose(d(3 * z), want, atol=1e-6)


# --- choosing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "rows", "device", "epochs", "name"), [
    (1.0, 600, "cpu", "auto", "supcon"),
    (0.2, 100, "cpu", "auto", "dcl"),
    (None, 600, "cuda", 200, "byol"),
])  # fmt: skip
def test_auto_chooses_by_the_data(labels, rows, device, epochs, name):
    x = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    y = None if labels is None else np.where(np.arange(rows) < labels * rows, np.arange(rows) % 3, np.nan)
    table = train.plan(Config(), source=x if y is None else {"train": (x, y)}).table
    chosen, why = auto_method.choose(table, np.arange(rows), device, epochs)
    assert chosen == name
    assert why


def test_auto_says_what_it_chose_and_why(digits, tiny, tmp_path):
    knobs = {k: v for k, v in tiny.items() if k != "projector"} | {"method": "auto"}
    with pytest.raises(ConfigError, match="auto has not chosen"):
        train.train(digits, **knobs, temperature=0.3)
    with pytest.raises(UnknownName, match="epoks"):
        train.train(digits, **knobs, epoks=3)
    trained = train.train(digits, **knobs, out=tmp_path / "run")
    assert trained.plan.config.model.method == "supcon"
    assert any("supcon was chosen, since 100% of the rows have a label" in n for n in trained.plan.notes)
    assert loading.load(tmp_path / "run").config.model.method == "supcon"


def test_auto_without_labels_takes_the_best_of_the_table():
    figures = auto_method.figures()
    table = train.plan(Config(), source=np.zeros((600, 4), np.float32) + np.arange(600)[:, None]).table
    chosen, why = auto_method.choose(table, np.arange(600), "cpu", "auto")
    free = {m: f["linear"] for m, f in figures.items() if METHODS.get(m).RECORD.positives == "views"}
    assert not figures or (free[chosen] >= free.get("simclr", 0) and f"{free[chosen]:.3f}" in why)


@pytest.mark.parametrize(("channels", "method", "recipe"), [
    (1, "byol", "digits"), (1, "supervised", "digits"), (1, "cpc", "cpc"), (3, "byol", "byol"), (3, "simclr", "simclr"),
])  # fmt: skip
def test_small_grey_pictures_are_not_mirrored_whatever_the_method(channels, method, recipe):
    images = np.random.default_rng(0).integers(0, 255, (40, 16, 16, channels), dtype=np.uint8)
    plan = train.plan(Config().set("model.method", method), source=(images, np.arange(40) % 4))
    assert plan.config.views.recipe == recipe


@pytest.mark.parametrize("name", ["moco_v3", "nnclr", "cpc", "simclr", "moco_v2", "ressl", "dino"])
def test_the_level_of_no_learning_is_the_loss_of_equal_rows(name):
    """Where all embeddings are one point the loss is the level that the monitor holds it against."""
    r = resolved(name, 16, small(name, 8, 6) | {"bn_groups": 1, "shuffle": False})
    torch.manual_seed(0)
    learner = Learner(r, {"x": Net()}, World()).train()
    batch = ViewBatch(
        tuple(View(torch.zeros(16, 3, 8, 8), "x") for _ in range(r.count)), Relation(torch.arange(16)), torch.arange(16)
    )
    one = torch.ones(16, learner.dim)
    e = learner.embeddings(learner.project(batch.views), batch)
    same = {
        side: tuple(None if z is None else one for z in getattr(e, side)) for side in ("online", "predicted", "target")
    }
    parts = dict(e.parts)
    if "memory" in parts:
        parts["memory"].keys.copy_(torch.nn.functional.normalize(torch.ones_like(parts["memory"].keys), dim=1))
    if "context" in parts:
        parts["context"] = lambda views: [(torch.stack(list(views[:3]), 1), torch.stack(list(views[6:]), 1))]
    loss, _ = learner.loss(replace(e, parts=parts, **same), batch)
    assert float(loss.detach()) == pytest.approx(no_learning(r, 16), abs=1e-4)
