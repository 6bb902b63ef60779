"""Where definitions agree, the numbers of lightly; and where they do not, by what they differ."""

import pytest
import torch

from nearfar.objectives.barlow_twins import barlow_twins
from nearfar.objectives.coding_rate import coding_rate
from nearfar.objectives.dino import dino, next_centre
from nearfar.objectives.sigreg import _directions, sigreg
from nearfar.objectives.swav import swav
from nearfar.objectives.vicreg import vicreg
from nearfar.objectives.whitening import whitening
from tests.helpers.inputs import build, gradients

lightly = pytest.importorskip("lightly.loss", reason="the extra 'bench' has it")


def same(arguments, ours, theirs):
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-6)
    for a, b in zip(gradients(ours, arguments), gradients(theirs, arguments), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.fixture
def arguments():
    return build("views", 20, 6, seed=3)


def test_barlow_twins(arguments):
    same(arguments, barlow_twins(**arguments)[0], lightly.BarlowTwinsLoss()(*arguments["views"]))


def test_vicreg(arguments):
    same(arguments, vicreg(**arguments)[0], lightly.VICRegLoss()(*arguments["views"]))


def test_whitening(arguments):
    theirs = lightly.WMSELoss(embedding_dim=6, w_iter=1, w_size=20)
    same(arguments, whitening(**arguments, eps=0.0)[0], theirs(torch.cat(arguments["views"])))


def test_coding_rate_has_the_other_sign(arguments):
    arguments["views"] = [torch.nn.functional.normalize(v, dim=1) for v in arguments["views"]]
    _, numbers = coding_rate(**arguments)
    theirs = lightly.EMPSSLLoss()(arguments["views"])
    assert float(theirs.detach()) == pytest.approx(float(numbers["rate"] - 200 * numbers["invariance"]))


def test_sigreg(arguments):
    theirs = lightly.lejepa_loss.SIGReg(num_vectors=64).double()
    theirs._generate_unit_vectors = lambda device, dtype, features, **_: _directions(features, 64, 5).to(dtype)
    ours, _ = sigreg(**arguments, weight=1.0, seed=5, slices=64, knots=33, reach=3.0)
    same(arguments, ours, theirs(torch.stack(arguments["views"])))


def test_swav():
    arguments = build("prototypes", 8, 5)
    queue = [torch.randn(12, 5, dtype=torch.float64) for _ in range(2)]
    ours, _ = swav(arguments["scores"], arguments["scores"], queue=queue)
    same(arguments, ours, lightly.SwaVLoss()(arguments["scores"], [], queue_outputs=queue))


def test_dino():
    arguments = build("prototypes", 8, 5)
    targets = [t.detach() for t in arguments["targets"]]
    theirs = lightly.DINOLoss(output_dim=5).double()
    same(arguments, dino(**arguments)[0], theirs(targets, arguments["scores"]))
    assert torch.allclose(theirs.center[0, 0], next_centre(torch.zeros(5), targets))
    again, _ = dino(**arguments, centre=theirs.center[0, 0].clone())
    assert float(again.detach()) == pytest.approx(float(theirs(targets, arguments["scores"]).detach()))
