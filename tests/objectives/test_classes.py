"""What objectives with a table of classes or items can do beyond the contract: samples, unlabelled rows, refusals."""

import math

import pytest
import torch

from nearfar.objectives.angular_margin import angular_margin
from nearfar.objectives.debiased import debiased
from nearfar.objectives.item_softmax import item_softmax
from nearfar.objectives.kernel.classes import sample_classes
from nearfar.objectives.kernel.relation import Relation
from tests.objectives.reference.debiased import reference as slow_debiased

HEADS = pytest.mark.parametrize("head", [angular_margin, item_softmax])


def rows(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64, requires_grad=True)


def test_a_sample_has_the_classes_of_the_batch_and_random_others():
    group = torch.tensor([7, 3, 3, 12])  # of 10 classes: the last row has none
    drawn = sample_classes(group, 10, 5, seed=1)
    assert {3, 7} <= set(drawn.tolist()) and len(drawn.unique()) == 5 and drawn.max() < 10
    assert torch.equal(drawn, sample_classes(group, 10, 5, seed=1))
    assert any(not torch.equal(drawn, sample_classes(group, 10, 5, seed=s)) for s in range(2, 9))
    assert sample_classes(group, 10, 1, seed=0).tolist() == [3, 7]


@HEADS
def test_a_sample_of_all_classes_is_the_full_softmax(head):
    x, weight, relation = rows(6, 4), rows(9, 4, seed=1), Relation(torch.arange(6))
    full, _ = head([x], relation, weight)
    drawn, _ = head([x], relation, weight, sampled=torch.randperm(9))
    assert float((full - drawn).detach()) == pytest.approx(0, abs=1e-12)


@HEADS
def test_unlabelled_rows_are_left_out_and_counted(head):
    x, weight = rows(6, 4), rows(5, 4, seed=1)
    loss, numbers = head([x], Relation(torch.tensor([0, 5, 2, 9, 4, 7])), weight)
    only, _ = head([x[::2]], Relation(torch.tensor([0, 2, 4])), weight)
    assert int(numbers["anchors"]) == 3
    assert float((loss - only).detach()) == pytest.approx(0, abs=1e-12)
    assert not torch.autograd.grad(loss, x)[0][1::2].any()
    with pytest.raises(ValueError, match="relation.group"):
        head([x], Relation(torch.arange(5, 11)), weight)


def test_a_constant_log_q_changes_nothing():
    x, weight, relation = rows(6, 4), rows(9, 4, seed=1), Relation(torch.arange(6))
    plain, _ = item_softmax([x], relation, weight)
    corrected, _ = item_softmax([x], relation, weight, log_q=torch.full((9,), -3.0))
    assert float((plain - corrected).detach()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("head", "given", "word"),
    [
        (angular_margin, {"kind": "sphereface"}, "kind"),
        (angular_margin, {"margin": -0.1}, "margin"),
        (angular_margin, {"margin": 3.2}, "margin"),
        (angular_margin, {"scale": 0.0}, "scale"),
        (angular_margin, {"sampled": torch.tensor([1, 1])}, "sampled"),
        (item_softmax, {"sampled": torch.tensor([1, 5])}, "sampled"),
        (item_softmax, {"sampled": torch.tensor([0.5])}, "sampled"),
        (item_softmax, {"log_q": torch.zeros(4)}, "log_q"),
        (item_softmax, {"similarity": "manhattan"}, "similarity"),
    ],
)
def test_bad_arguments_are_named(head, given, word):
    with pytest.raises(ValueError, match=f"{word}: expected"):
        head([rows(3, 4)], Relation(torch.arange(3)), rows(5, 4, seed=1), **given)


def test_levels_without_learning():
    """Rows that are at right angles to every class."""
    x, weight = torch.eye(6)[:2].double(), torch.eye(6)[2:].double()
    relation = Relation(torch.tensor([0, 3]))
    arc, _ = angular_margin([x], relation, weight, scale=4.0)
    cos, _ = angular_margin([x], relation, weight, kind="cosface", scale=4.0)
    full, _ = item_softmax([x], relation, weight)
    assert float(arc) == pytest.approx(math.log(1 + 3 * math.exp(4 * math.sin(0.5))))
    assert float(cos) == pytest.approx(math.log(1 + 3 * math.exp(4 * 0.35)))
    assert float(full) == pytest.approx(math.log(4))


def test_an_arcface_embedding_at_its_class_has_a_gradient_that_is_finite():
    weight = torch.eye(4)
    x = weight[:2].clone().requires_grad_()
    loss, _ = angular_margin([x], Relation(torch.arange(2)), weight)
    assert torch.isfinite(torch.autograd.grad(loss, x)[0]).all()


def test_debiased_leaves_ignored_pairs_out():
    x, y = rows(6, 4), rows(6, 4, seed=1)
    relation = Relation(torch.arange(6), ignore=torch.tensor([0, 0, 1, 2, 2, 2]))
    fast, _ = debiased([x, y], relation, beta=0.5)
    assert float((fast - slow_debiased([x, y], relation, beta=0.5)).detach()) == pytest.approx(0, abs=1e-10)
