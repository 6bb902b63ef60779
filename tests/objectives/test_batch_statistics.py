"""What the contract does not ask of objectives of batch statistics: their constants, limits and messages."""

from itertools import pairwise

import pytest
import torch

from nearfar.objectives.alignment_uniformity import alignment_uniformity
from nearfar.objectives.coding_rate import coding_rate
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE
from nearfar.objectives.sigreg import sigreg
from nearfar.objectives.vicreg import vicreg
from nearfar.objectives.whitening import whitened, whitening
from tests.helpers.inputs import build, gradients
from tests.objectives.reference.alignment_uniformity import reference as slow_uniformity
from tests.objectives.reference.coding_rate import reference as slow_coding_rate
from tests.objectives.reference.vicreg import reference as slow_vicreg
from tests.objectives.reference.whitening import reference as slow_whitening


def gaussian(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_whitened_rows_have_the_identity_as_covariance():
    x = gaussian(50, 6) @ gaussian(6, 6, seed=1) + 3
    for borders in ([0, 50], [0, 20, 50]):
        w = whitened(x, borders, 0.0, ONE)
        for a, b in pairwise(borders):
            assert torch.allclose(torch.cov(w[a:b].T), torch.eye(6, dtype=x.dtype), atol=1e-9)


def test_whitening_in_groups_of_rows():
    arguments = build("views", 25, 4, views=3)
    loss, numbers = whitening(**arguments, size=7)
    wanted = slow_whitening(**arguments, size=7)
    assert int(numbers["groups"]) == 3  # of 7, 7 and 11 rows
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()))
    for a, b in zip(gradients(loss, arguments), gradients(wanted, arguments), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_whitening_says_how_many_rows_it_needs():
    with pytest.raises(ValueError, match="at least 7 rows, over all processes, got 6"):
        whitening(**build("views", 6, 6))
    with pytest.raises(ValueError, match="size: expected at least 7 rows to whiten 6 dimensions, got 4"):
        whitening(**build("views", 8, 6), size=4)
    same = build("views", 9, 2)
    same["views"] = [torch.ones_like(v) for v in same["views"]]
    with pytest.raises(ValueError, match="eps: expected a larger number, the covariance is singular"):
        whitening(**same, eps=0.0)


@pytest.mark.parametrize(("n", "d"), [(3, 9), (9, 9), (12, 4)])
def test_coding_rate_takes_the_smaller_determinant(n, d):
    arguments = build("views", n, d, views=3)
    assert float(coding_rate(**arguments)[0].detach()) == pytest.approx(float(slow_coding_rate(**arguments).detach()))


@pytest.mark.parametrize("views", [3, 4])
def test_more_views_are_the_mean_over_their_pairs(views):
    arguments = build("views", 7, 4, views=views)
    assert float(vicreg(**arguments)[0].detach()) == pytest.approx(float(slow_vicreg(**arguments).detach()))


def test_sigreg_knows_a_gaussian_from_a_collapse():
    arguments = build("views", 400, 3)
    settings = {"knots": 129, "reach": 8.0, "weight": 1.0, "slices": 64}
    arguments["views"] = [gaussian(400, 3, seed=s) for s in range(40)]
    assert float(sigreg(**arguments, **settings)[0]) == pytest.approx(1.06, abs=0.12)
    arguments["views"] = [torch.zeros(400, 3)] * 2
    assert float(sigreg(**arguments, **settings)[0]) == pytest.approx(0.4089 * 400, rel=1e-3)


def test_sigreg_draws_by_its_seed_alone():
    arguments = build("views", 20, 5)
    torch.manual_seed(1)
    first = sigreg(**arguments, seed=3)[0]
    torch.manual_seed(2)
    assert torch.equal(first, sigreg(**arguments, seed=3)[0])
    assert not torch.equal(first, sigreg(**arguments, seed=4)[0])


def test_uniformity_is_that_of_the_health_monitor():
    from nearfar.vectors import geometry

    arguments = build("views", 30, 5)
    _, numbers = alignment_uniformity(**arguments)
    a, b = (v.detach() for v in arguments["views"])
    assert float(numbers["alignment"]) == pytest.approx(float(geometry.alignment(a, b)), rel=1e-5)
    wanted = (float(geometry.uniformity(a)) + float(geometry.uniformity(b))) / 2
    assert float(numbers["uniformity"]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("alpha", [2, 1])
@pytest.mark.parametrize("pairs", ["within", "all"])
def test_rows_of_zeros_stay_where_they_are(alpha, pairs):
    """F.normalize leaves them at 0: at no distance of each other, and at 1 of every unit vector."""
    zeros = [torch.zeros(5, 3, dtype=torch.float64) for _ in range(2)]
    loss, numbers = alignment_uniformity(zeros, Relation(torch.arange(5)), alpha=alpha, pairs=pairs)
    assert [float(loss), float(numbers["alignment"]), float(numbers["uniformity"])] == pytest.approx(
        [0, 0, 0], abs=1e-12
    )
    views = [v.detach() for v in build("views", 7, 4)["views"]]
    views[0][:3], views[1][2:4] = 0, 0
    relation = Relation(torch.arange(7) // 2)
    loss, _ = alignment_uniformity(views, relation, alpha=alpha, pairs=pairs)
    assert float(loss) == pytest.approx(float(slow_uniformity(views, relation, alpha=alpha, pairs=pairs)), abs=1e-12)
