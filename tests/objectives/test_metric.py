"""Triplet, contrastive, CoSENT and BPR: their further functions, the numbers beside the loss, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F

from nearfar.objectives.bpr import bpr
from nearfar.objectives.contrastive import contrastive, contrastive_pairs
from nearfar.objectives.cosent import cosent
from nearfar.objectives.cosine_embedding import cosine_embedding
from nearfar.objectives.kernel import tiles, triplet_mining
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.triplet import triplet, triplet_given
from tests.helpers.inputs import build
from tests.objectives.reference.triplet import reference as slow_triplet


def labelled(n=9, d=5):
    return build("scored pairs", n, d) | {"relation": Relation(torch.arange(n), score=torch.arange(n) % 2)}


@pytest.mark.parametrize(("margin", "average"), [(0.5, "all"), (0.5, "active"), (None, "all")])
def test_given_triplets(margin, average):
    x = build("triplets", 6, 4)
    d_ap = (x["anchor"] - x["positive"]).norm(dim=1)[:, None]
    excess = d_ap - (x["anchor"][:, None] - x["negative"]).norm(dim=2)
    losses = torch.log1p(excess.exp()) if margin is None else (excess + margin).relu()
    expected = losses.mean() if average == "all" else losses[losses > 0].mean()
    loss, numbers = triplet_given(**x, margin=margin, average=average)
    assert torch.allclose(loss, expected, atol=1e-12)
    assert numbers["triplets"] == 18 and float(numbers["active"]) == pytest.approx(int((losses > 0).sum()) / 18)
    assert torch.autograd.gradcheck(lambda *t: triplet_given(*t, margin=margin, average=average)[0], [*x.values()])


def test_given_triplets_with_a_soft_margin_of_dot_products_are_bpr():
    x = build("triplets", 6, 4)
    assert torch.allclose(triplet_given(**x, similarity="dot")[0], bpr(**x)[0], atol=1e-12)


@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
def test_contrastive_loss_of_labelled_pairs(similarity):
    x = labelled()
    left, right, score = x["left"], x["right"], x["relation"].score
    d = 1 - F.cosine_similarity(left, right) if similarity == "cosine" else (left - right).norm(dim=1)
    expected = torch.where(score > 0, d**2 / 2, (2 - d).relu() ** 2 / 2).mean()
    assert torch.allclose(contrastive_pairs(**x, margin=2.0, similarity=similarity)[0], expected, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda a, b: contrastive_pairs(a, b, x["relation"], margin=2.0, similarity=similarity)[0], (left, right)
    )


def test_what_is_counted():
    views = build("views", 4, 5)["views"]
    relation = Relation(torch.tensor([0, 0, 1, 2]))
    sizes = {"hard": 8, "semi-hard": 4 * 3 + 4 * 1, "all": 4 * 3 * 4 + 4 * 1 * 6}
    for mining, triplets in sizes.items():
        _, numbers = triplet(views, relation, mining=mining)
        assert numbers["anchors"] == 8 and numbers["triplets"] == triplets and numbers["active"] == 1
    _, numbers = contrastive(views, relation)
    assert (numbers["anchors"], numbers["positives"], numbers["negatives"]) == (8, 16, 40)


@pytest.mark.parametrize("parameters", [{"mining": "semi-hard"}, {"mining": "all"}, {"mining": "all", "margin": 0.5}])
def test_blocks_of_rows_without_a_positive(parameters, monkeypatch):
    z, relation = build("views", 9, 4)["views"][0], Relation(torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 7]))
    expected = triplet([z], relation, **parameters)[0]
    monkeypatch.setattr(tiles, "TILE", 3)  # a row at a time
    loss = triplet([z], relation, **parameters)[0]
    assert torch.allclose(loss, expected, atol=1e-12)
    assert torch.allclose(*(torch.autograd.grad(x, z)[0] for x in (loss, expected)), atol=1e-12)


def test_ignored_pairs_are_no_negatives():
    """Rows 0 and 1 are nearer than any others; ignored, they leave every negative far away."""
    views, group = [v.detach() for v in build("views", 5, 4, seed=3)["views"]], torch.arange(5)
    views = [torch.stack([v[0], v[0] + 0.1, *(v[2:] + 50 * torch.arange(1, 4)[:, None])]) for v in views]
    ignored = Relation(group, ignore=torch.tensor([7, 7, 1, 2, 3]))
    for mining, triplets in (("hard", 10), ("semi-hard", 10), ("all", 4 * 6 + 6 * 8)):
        assert float(triplet(views, Relation(group), mining=mining, margin=0.5)[0]) > 0
        loss, numbers = triplet(views, ignored, mining=mining, margin=0.5)
        assert float(loss) == 0 and numbers["triplets"] == triplets


def test_a_soft_margin_refuses_more_triplets_than_it_can_go_through(monkeypatch):
    x = build("views", 5, 4)
    monkeypatch.setattr(triplet_mining, "MOST", 10 * 8 - 1)
    with pytest.raises(ValueError, match="80 triplets.*None.*'hard' and 'semi-hard'"):
        triplet(**x, mining="all")
    triplet(**x, mining="all", margin=0.2)
    monkeypatch.setattr(triplet_mining, "MOST", 10 * 8)
    triplet(**x, mining="all")


def test_many_positives_in_float32_lose_no_digits():
    """The sums of an anchor with thousands of active triplets: distances times counts that nearly cancel."""
    g = torch.Generator().manual_seed(0)
    z, relation = torch.randn(2000, 8, generator=g) / 30 + 1, Relation(torch.arange(2000) % 2)
    fast = float(triplet([z], relation, mining="all", margin=0.1)[0])
    exact = float(triplet([z.double()], relation, mining="all", margin=0.1)[0])
    assert fast == pytest.approx(exact, rel=1e-5)


def test_bad_arguments_are_named():
    views, given, scored = build("views", 4), build("triplets", 4), labelled(4)
    unscored, equal = Relation(torch.arange(4)), Relation(torch.arange(4), score=torch.ones(4))
    for word, function, arguments in (
        ("mining", triplet, views | {"mining": "soft"}),
        ("margin", triplet, views | {"margin": -0.1}),
        ("average", triplet, views | {"average": "none"}),
        ("similarity", triplet, views | {"similarity": "manhattan"}),
        ("relation.group", triplet, views | {"relation": Relation(torch.zeros(4, dtype=torch.long))}),
        ("negative", triplet_given, given | {"negative": given["negative"][:, 0]}),
        ("negative", bpr, given | {"negative": given["negative"][..., :2]}),
        ("margin", contrastive, views | {"margin": 0.0}),
        ("similarity", contrastive, views | {"similarity": "dot"}),
        ("relation.group", contrastive, {"views": views["views"][:1], "relation": unscored}),
        ("relation.score", contrastive_pairs, scored | {"relation": unscored}),
        ("relation.score", cosine_embedding, scored | {"relation": unscored}),
        ("margin", cosine_embedding, scored | {"margin": 1.5}),
        ("relation.score", cosent, scored | {"relation": unscored}),
        ("relation.score", cosent, scored | {"relation": equal}),
    ):
        with pytest.raises(ValueError, match=f"^{word}: expected"):
            function(**arguments)


def test_the_margin_keeps_its_digits_in_float64():
    """Its product with whole numbers was one of 32 bits: 0.1 became 0.10000000149."""
    views = [v.detach() for v in build("views", 8, 3)["views"]]
    relation = Relation(torch.arange(8) // 2)
    for margin in (0.1, 3):
        exact = float(slow_triplet(views, relation, mining="all", margin=margin))
        loss, _ = triplet(views, relation, mining="all", margin=margin)
        assert loss.dtype == torch.float64
        assert float(loss) == pytest.approx(exact, abs=1e-14, rel=1e-14)


@pytest.mark.parametrize("mining", ["hard", "semi-hard", "all"])
def test_with_a_soft_margin_every_triplet_is_active(mining):
    """Also where log(1 + exp(−1000)) is no more than 0 in the computer."""
    far = torch.eye(2).repeat_interleave(3, 0) * 1000
    relation = Relation(torch.arange(6) // 3)
    loss, numbers = triplet([far], relation, mining=mining, average="active")
    assert float(loss) == 0
    assert numbers["active"] == 1
    mixed, four = torch.cat((far, far[:3] + 1e-3, far[:3] - 1e-3)), Relation(torch.arange(12) // 3)
    found = [triplet([mixed], four, mining=mining, average=average) for average in ("all", "active")]
    assert found[1][1]["active"] == 1
    assert float(found[0][0]) == float(found[1][0]) > 0
    _, numbers = triplet_given(far[:3], far[:3], far[3:, None], average="active")
    assert numbers["active"] == 1
