"""The numbers that docs/formulas.md gives for the tutorial's formulas, and what is right instead."""

import math

import torch
import torch.nn.functional as F

from nearfar.encoders.image.tutorial_cnn import build
from nearfar.objectives.contrastive import contrastive
from nearfar.objectives.cosine_embedding import cosine_embedding
from nearfar.objectives.info_nce import info_nce, info_nce_against
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.supcon import supcon


def cosines(z):
    z = F.normalize(z, dim=1)
    return z @ z.T


def test_gradient_of_infonce():
    torch.manual_seed(0)
    n, tau = 4, 0.3
    z = F.normalize(torch.randn(2 * n, 6, dtype=torch.float64), dim=1)
    s = (z @ z.T).requires_grad_()
    positive = torch.eye(n).repeat(2, 2).double() - torch.eye(2 * n).double()
    logits = (s / tau).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    loss = -(logits.log_softmax(1).masked_fill(positive == 0, 0) * positive).sum() / (2 * n)
    loss.backward()
    p = logits.softmax(1).detach()
    assert torch.allclose(s.grad, (p - positive) / tau / (2 * n))
    assert torch.allclose(s.grad + s.grad.T, (p + p.T - 2 * positive) / (2 * n * tau))
    ours, _ = info_nce([z[:n], z[n:]], Relation(torch.arange(n)), temperature=tau)
    assert torch.allclose(ours, loss)
    # and through the cosine: dL/dz of the library is dL/dS pushed through S = ẑẑᵀ
    x = z.clone().requires_grad_()
    info_nce([x[:n], x[n:]], Relation(torch.arange(n)), temperature=tau)[0].backward()
    y = z.clone().requires_grad_()
    (cosines(y) * s.grad).sum().backward()
    assert torch.allclose(x.grad, y.grad)


def test_without_a_temperature_the_loss_has_a_floor():
    best = torch.tensor([1.0] + [-1.0] * 63)  # the positive equal, every negative opposite
    loss = -best.log_softmax(0)[0]
    assert math.isclose(float(loss), math.log(1 + 63 * math.exp(-2)), rel_tol=1e-6)
    assert round(float(loss), 2) == 2.25
    assert -(best / 0.2).log_softmax(0)[0] < 0.01


def test_the_denominator_holds_the_positive():
    q = torch.tensor([[1.0, 0.0]])
    memory = torch.tensor([[-1.0, 0.0], [-1.0, 0.0]])
    loss, _ = info_nce_against(
        q, q, Relation(torch.tensor([0])), memory_keys=memory, memory_groups=torch.tensor([-1, -1]), temperature=0.5
    )
    assert math.isclose(float(loss), math.log(1 + 2 * math.exp(-4)), rel_tol=1e-5)
    assert loss > 0
    assert math.log(2 * math.exp(-2)) - 2 < 0  # negatives only: below zero


def test_the_tutorials_loss_wants_everything_alike():
    def theirs(s):
        return F.logsigmoid(-s).mean()

    alike, opposite = torch.ones(8, 8), -torch.ones(8, 8)
    assert round(float(theirs(alike)), 3) == -1.313
    assert round(float(theirs(opposite)), 3) == -0.313
    spread = cosines(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)))
    assert theirs(alike) < theirs(spread)
    one_point = [torch.ones(8, 4)] * 2
    # ours is at its no-learning level where theirs is best
    assert math.isclose(float(info_nce(one_point, Relation(torch.arange(8)))[0]), math.log(15), rel_tol=1e-5)


def test_summing_over_everybody_teaches_equality():
    def theirs(s):
        return -s.log_softmax(0).sum()

    equal, right = torch.zeros(6), torch.tensor([1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    assert theirs(equal) < theirs(right)
    group = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    assert supcon([apart], Relation(group))[0] < supcon([torch.ones(4, 2)], Relation(group))[0]


def test_the_tutorials_network_mixes_pictures():
    pooled = torch.zeros(64, 128, 8, 8)  # 32 × 32 after two poolings
    assert pooled.view(-1, 128 * 4 * 4).shape[0] == 256
    encoder = build(channels=3, size=32, out=128)
    assert encoder(torch.zeros(4, 3, 32, 32)).shape == (4, 128)
    # one picture changes one row only
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    y = x.clone()
    y[1] = 0
    changed = (encoder.eval()(x) - encoder(y)).abs().amax(1) > 0
    assert changed.tolist() == [False, True, False, False]


def test_the_tutorials_cosine_loss():
    """½·cos⁻²(s), read either way: 1/cos² wants pairs of no similarity, arccos² is content with one point."""
    s = torch.linspace(0, 1, 50)
    assert (0.5 / s.cos().square()).argmin() == 0  # orthogonal
    assert float(0.5 * torch.ones(4).acos().square().sum()) == 0  # all alike, and there are no negatives to object
    alike, scored = torch.ones(4, 3), Relation(torch.arange(4), score=torch.tensor([1, 1, 0, 0]))
    assert float(cosine_embedding(alike, alike, scored)[0]) > 0.4  # ours objects: two pairs are negatives


def test_the_tutorials_euclidean_loss():
    """½|h − h'|² of positives is least for one point, and says nothing of negatives; with a margin it does."""
    group = torch.tensor([0, 0, 1, 1])
    one_point, apart = torch.ones(4, 2), torch.tensor([[0.0, 0], [0, 0], [2, 0], [2, 0]])
    for z in (one_point, apart):
        assert float(0.5 * ((z[0] - z[1]).square().sum() + (z[2] - z[3]).square().sum())) == 0
    ours = [float(contrastive([z], Relation(group), margin=1.0)[0]) for z in (one_point, apart)]
    assert ours[0] == 0.5 and ours[1] < 1e-30


def test_the_loss_falls_as_negatives_part():
    group = torch.arange(2)
    losses = []
    for angle in (0.1, 0.5, 1.0, 2.0, 3.0):
        z = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
        losses.append(float(info_nce([z, z], Relation(group))[0]))
    assert losses == sorted(losses, reverse=True)
