"""Bounds of the mutual information of Gaussians, for which it is known: −½ Σ ln(1 − ρ²)."""

import math

import pytest
import torch

from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.mutual_information import BOUNDS, mutual_information

N, D, RHO = 1500, 2, 0.6
KNOWN = -D / 2 * math.log(1 - RHO**2)


def sides(rho=RHO):
    g = torch.Generator().manual_seed(0)
    x, e = (torch.randn(N, D, generator=g, dtype=torch.float64) for _ in range(2))
    return x, rho * x + math.sqrt(1 - rho**2) * e


def best_critic(x, y, more=0.0):
    """Embeddings whose dot product is the logarithm of the density ratio, plus `more`."""
    a = 2 * (1 - RHO**2)
    one = torch.ones(N, 1, dtype=x.dtype)
    left = torch.cat((2 * RHO * x / a, -(RHO**2) * x.square().sum(1, keepdim=True) / a, one), 1)
    right = torch.cat((y, one, KNOWN + more - RHO**2 * y.square().sum(1, keepdim=True) / a), 1)
    return left, right


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("critic", [{}, {"similarity": "dot"}, {"similarity": "squared_euclidean", "temperature": 2.0}])
def test_any_critic_stays_below(bound, critic):
    value, numbers = mutual_information(*sides(), Relation(torch.arange(N)), bound=bound, **critic)
    assert float(value) < KNOWN + 0.03
    assert (int(numbers["anchors"]), int(numbers["product"])) == (N, N * (N - 1))


@pytest.mark.parametrize(("bound", "more", "wanted"), [("info_nce", 0, KNOWN), ("nwj", 1, KNOWN), ("mine", 0, KNOWN)])
def test_the_best_critic_reaches_it(bound, more, wanted):
    left, right = best_critic(*sides(), more=more)
    value, _ = mutual_information(left, right, Relation(torch.arange(N)), bound=bound, similarity="dot")
    assert float(value) == pytest.approx(wanted, abs=0.03)


def test_jsd_is_twice_the_divergence():
    x, y = sides()
    left, right = best_critic(x[:, :1], y[:, :1], more=-KNOWN / 2)  # one of the two dimensions
    value, _ = mutual_information(left, right, Relation(torch.arange(N)), bound="jsd", similarity="dot")
    grid = torch.linspace(-7, 7, 400, dtype=torch.float64)
    a, b = torch.meshgrid(grid, grid, indexing="ij")
    product = torch.exp(-(a**2 + b**2) / 2)
    joint = torch.exp(-(a**2 + b**2 - 2 * RHO * a * b) / (2 * (1 - RHO**2)))
    joint, product = joint / joint.sum(), product / product.sum()
    middle = (joint + product) / 2
    twice = torch.xlogy(joint, joint / middle).sum() + torch.xlogy(product, product / middle).sum()
    assert float(value) == pytest.approx(float(twice), abs=0.02)
    assert float(twice) < KNOWN / 2


def test_info_nce_tells_no_more_than_the_logarithm_of_the_rows():
    x = torch.eye(16, dtype=torch.float64)
    value, _ = mutual_information(x, x, Relation(torch.arange(16)), temperature=0.01)
    assert float(value) == pytest.approx(math.log(16))


@pytest.mark.parametrize("bound", BOUNDS)
def test_independent_sides_tell_nothing(bound):
    x, y = sides(rho=0.0)
    value, _ = mutual_information(x, y, Relation(torch.arange(N)), bound=bound)
    assert float(value) < 0.02


def test_one_group_has_no_product():
    x, y = sides()
    with pytest.raises(ValueError, match="different groups"):
        mutual_information(x, y, Relation(torch.zeros(N, dtype=torch.long)))
