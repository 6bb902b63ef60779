"""The gradients that docs/formulas.md derives are those that every objective gives.

Each function below is the closed form of its section: ∂L/∂s of every ordered pair as a full matrix (small here), or
the gradient itself, pushed through the chain rule of the similarity and compared with what autograd makes of the
library's loss.
"""

import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from nearfar.core.registry import OBJECTIVES
from nearfar.objectives.kernel.relation import Relation
from tests.helpers.inputs import build, changed, function_of, gradients

ROOT = Path(__file__).parents[2]
N, D = 6, 4


def through(kind, x, y, g):
    """Σ_ij g_ij ∂s_ij/∂x_i: the chain rule of each similarity, as the page gives it."""
    if kind == "dot":
        return g @ y
    if kind == "cosine":
        a, b = F.normalize(x, dim=1), F.normalize(y, dim=1)
        return (g @ b - (g * (a @ b.T)).sum(1, keepdim=True) * a) / x.norm(dim=1, keepdim=True)
    difference = x[:, None] - y[None]
    if kind == "squared_euclidean":
        return -2 * (g[:, :, None] * difference).sum(1)
    length = difference.norm(dim=2, keepdim=True)
    return -(g[:, :, None] * torch.where(length > 0, difference / length.clamp(min=1e-300), 0.0)).sum(1)


def similarities(kind, x, y):
    if kind == "dot":
        return x @ y.T
    if kind == "cosine":
        return F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
    d = (x[:, None] - y[None]).square().sum(2)
    return -d if kind == "squared_euclidean" else -d.sqrt()


def of_views(kind, form, arguments):
    """Gradients of V views from ∂L/∂s_ij of all ordered pairs among the V·N embeddings."""
    x = torch.cat(arguments["views"]).detach()
    group = arguments["relation"].group.repeat(len(arguments["views"]))
    own = torch.eye(len(x), dtype=torch.bool)
    same = (group[:, None] == group[None]) & ~own
    g = form(similarities(kind, x, x), same, ~same & ~own).masked_fill(own, 0.0)
    return list(through(kind, x, x, g + g.T).split(len(arguments["views"][0])))


def of_sides(kind, form, arguments):
    x, y = arguments["left"].detach(), arguments["right"].detach()
    group = arguments["relation"].group
    g = form(similarities(kind, x, y), group[:, None] == group[None])
    return [through(kind, x, y, g), through(kind, y, x, g.T)]


def softmax(logits, mask):
    return logits.masked_fill(~mask, -torch.inf).softmax(1).nan_to_num()


# --- ∂L/∂s_ij -------------------------------------------------------------------------------------------------------


def info_nce(s, pos, neg, tau=0.2):
    p = softmax(s / tau, pos | neg)
    return (p - pos / pos.sum(1, keepdim=True)) / (tau * len(s))


def dcl(s, pos, neg, tau=0.1):
    return (softmax(s / tau, neg) - pos / pos.sum(1, keepdim=True)) / (tau * len(s))


def debiased(s, pos, neg, tau=0.5, tau_plus=0.1):
    pos, neg = pos.double(), neg.double()
    e, count = (s / tau).exp(), neg.sum(1, keepdim=True)
    k = pos.sum(1, keepdim=True)
    raw = ((e * neg).sum(1, keepdim=True) - count * tau_plus * (e * pos).sum(1, keepdim=True) / k) / (1 - tau_plus)
    free = raw > count * math.exp(-1 / tau)
    total = torch.where(free, raw, count * math.exp(-1 / tau))
    share = (pos / (e + total)).sum(1, keepdim=True) / k  # ∂ℓ_i/∂G_i
    g = share * free * e * (neg - count * tau_plus * pos / k) / (1 - tau_plus)
    g = g + pos * (e / (e + total) - 1) / k
    return g / (tau * len(s))


def multi_similarity(s, pos, neg, alpha=2.0, beta=50.0, base=1.0):
    p, n = (-alpha * (s - base)).exp() * pos, (beta * (s - base)).exp() * neg
    return (n / (1 + n.sum(1, keepdim=True)) - p / (1 + p.sum(1, keepdim=True))) / len(s)


def circle(s, pos, neg, margin=0.25, gamma=80.0):
    an, ap = (s + margin).clamp(min=0), (1 + margin - s).clamp(min=0)
    n, p = gamma * an * (s - margin), -gamma * ap * (s - 1 + margin)
    z = n.masked_fill(~neg, -torch.inf).logsumexp(1) + p.masked_fill(~pos, -torch.inf).logsumexp(1)
    weight = z.sigmoid()[:, None] * gamma / len(s)
    return weight * (softmax(n, neg) * an - softmax(p, pos) * ap)


def triplet_hard(s, pos, neg, margin=0.2):
    d, g = -s, torch.zeros_like(s)
    far, near = d.masked_fill(~pos, -torch.inf), d.masked_fill(~neg, torch.inf)
    active = (far.amax(1) - near.amin(1) + margin > 0).to(s.dtype) / len(s)
    rows = torch.arange(len(s))
    g[rows, far.argmax(1)] -= active
    g[rows, near.argmin(1)] += active
    return g


def contrastive(s, pos, neg, margin=1.0):
    d = -s
    return -(pos * d / pos.sum()) + neg * (margin - d).clamp(min=0) / neg.sum()


def alignment_uniformity(s, pos, neg, t=2.0):
    """Per view, as the default of the library: pairs within a view only, of which all rows here are negatives."""
    g = -2 * pos / pos.sum(1, keepdim=True) / len(s)
    n = len(s) // 2
    view = torch.arange(len(s)) // n
    within = (view[:, None] == view[None]) & ~torch.eye(len(s), dtype=torch.bool)
    for v in (0, 1):
        mine = within & (view == v)[:, None]
        w = (2 * t * s).exp() * mine
        g = g + 2 * t * w / w.sum() / 2
    return g


VIEWS = {  # objective → (similarity, form, parameters)
    "info_nce": ("cosine", info_nce, {}),
    "supcon": ("cosine", lambda s, p, n: info_nce(s, p, n, 0.1), {}),
    "dcl": ("cosine", lambda s, p, n: dcl(s, p, n, 0.3), {"temperature": 0.3}),
    "debiased": ("cosine", debiased, {"temperature": 0.5, "tau_plus": 0.1, "beta": 0.0}),
    "multi_similarity": ("cosine", multi_similarity, {"alpha": 2.0, "beta": 50.0, "base": 1.0, "epsilon": None}),
    "circle": ("cosine", circle, {"margin": 0.25, "gamma": 80.0}),
    "triplet": ("euclidean", triplet_hard, {"mining": "hard", "margin": 0.2}),
    "contrastive": ("euclidean", contrastive, {"margin": 1.0}),
    "alignment_uniformity": ("cosine", alignment_uniformity, {}),
}


def supcon_in(s, pos, neg, tau=0.1):
    return (softmax(s / tau, pos | neg) - softmax(s / tau, pos)) / (tau * len(s))


@pytest.mark.parametrize("name", VIEWS)
def test_of_views(name):
    kind, form, parameters = VIEWS[name]
    group = "own" if name == "alignment_uniformity" else "mixed"
    arguments = build("views", N, D, group=group, seed=1)
    loss = function_of(name)(**arguments, **parameters)[0]
    for mine, theirs in zip(of_views(kind, form, arguments), gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("kind", ["cosine", "dot", "euclidean", "squared_euclidean"])
def test_chain_rule_of_every_similarity(kind):
    arguments = build("views", N, D, group="mixed", seed=1)
    for name, form in (("info_nce", info_nce), ("dcl", lambda s, p, n: dcl(s, p, n, 0.2))):
        loss = function_of(name)(**arguments, temperature=0.2, similarity=kind)[0]
        for mine, theirs in zip(of_views(kind, form, arguments), gradients(loss, arguments), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-9)


def test_of_supcon_in():
    arguments = build("views", N, D, group="mixed", seed=1)
    loss = function_of("supcon")(**arguments, variant="in")[0]
    for mine, theirs in zip(of_views("cosine", supcon_in, arguments), gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


def test_of_the_temperature():
    arguments, tau = build("views", N, D, seed=1), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    x = torch.cat(arguments["views"]).detach()
    s, own = similarities("cosine", x, x), torch.eye(2 * N, dtype=torch.bool)
    p = softmax(s / 0.3, ~own)
    positive = s[torch.arange(2 * N), (torch.arange(2 * N) + N) % (2 * N)]
    wanted = ((positive - (p * s).sum(1)) / 0.3**2).mean()
    loss = function_of("info_nce")(**arguments, temperature=tau)[0]
    assert torch.allclose(torch.autograd.grad(loss, tau)[0], wanted)


def sigmoid(s, same, t=10.0, b=-10.0):
    y = torch.where(same, 1.0, -1.0)
    return -t * y * torch.sigmoid(-y * (t * s + b)) / len(s)


def n_pair(s, same):
    return (s.softmax(1) - torch.eye(len(s))) / len(s)


@pytest.mark.parametrize(("name", "kind", "form"), [("sigmoid", "cosine", sigmoid), ("n_pair", "dot", n_pair)])
def test_of_sides(name, kind, form):
    arguments = build("sides", N, D, seed=2)
    parameters = {"penalty": 0.0} if name == "n_pair" else {}
    loss = function_of(name)(**arguments, **parameters)[0]
    for mine, theirs in zip(of_sides(kind, form, arguments), gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


def test_of_mutual_information():
    arguments = build("sides", N, D, seed=2)
    own = torch.eye(N, dtype=torch.bool)

    forms = {
        "nwj": lambda s, _: own / N - ((s - 1).exp() * ~own) / (N * (N - 1)),
        "mine": lambda s, _: own / N - (s.exp() * ~own) / (s.exp() * ~own).sum(),
        "jsd": lambda s, _: own * torch.sigmoid(-s) / N - ~own * torch.sigmoid(s) / (N * (N - 1)),
        "info_nce": lambda s, _: (own.double() - s.softmax(1)) / N,
    }
    for bound, form in forms.items():
        value = function_of("mutual_information")(**arguments, bound=bound)[0]
        for mine, theirs in zip(of_sides("cosine", form, arguments), gradients(value, arguments), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-9), bound


# --- pairs and triplets that are given ------------------------------------------------------------------------------


def of_pairs(name, form, **parameters):
    arguments = build("scored pairs", N, D, seed=3)
    x, y, score = arguments["left"].detach(), arguments["right"].detach(), arguments["relation"].score
    g = torch.diag(form(similarities("cosine", x, y).diagonal(), score))
    loss = function_of(name)(**arguments, **parameters)[0]
    wanted = [through("cosine", x, y, g), through("cosine", y, x, g.T)]
    for mine, theirs in zip(wanted, gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


def test_of_cosine_embedding():
    of_pairs("cosine_embedding", lambda s, y: torch.where(y > 0, -1.0, (s > 0.1).double()) / len(s), margin=0.1)


def test_of_cosent():
    def form(s, y, tau=0.2):
        terms = ((s[None] - s[:, None]) / tau).masked_fill(y[:, None] <= y[None], -torch.inf)  # [i, j]: i above j
        w = (terms - torch.log1p(terms.exp().sum())).exp()
        return (w.sum(0) - w.sum(1)) / tau

    of_pairs("cosent", form, temperature=0.2)


def test_of_bpr():
    arguments = build("triplets", N, D, seed=4)
    a, p, n = (arguments[k].detach() for k in ("anchor", "positive", "negative"))
    w = torch.sigmoid(-((a * p).sum(1, keepdim=True) - (a[:, None] * n).sum(2))) / n[..., 0].numel()
    wanted = [
        -w.sum(1, keepdim=True) * p + (w[..., None] * n).sum(1), -w.sum(1, keepdim=True) * a,
        w[..., None] * a[:, None],
    ]  # fmt: skip
    for mine, theirs in zip(wanted, gradients(function_of("bpr")(**arguments)[0], arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


def test_of_negative_cosine():
    arguments = build("two sides", N, D, seed=5)
    loss = function_of("negative_cosine")(**arguments)[0]
    found = gradients(loss, arguments)
    for p, t, g in zip(arguments["predicted"], arguments["targets"], found[:2], strict=True):
        mine = through("cosine", p.detach(), t.detach(), -2 * torch.eye(N, dtype=torch.float64) / (2 * N))
        assert torch.allclose(mine, g, atol=1e-10)
    assert all(float(g.abs().max()) == 0 for g in found[2:])


# --- classes and prototypes -------------------------------------------------------------------------------------------


def test_of_classes():
    arguments = build("classes", N, D, seed=6)
    x, w = torch.cat(arguments["views"]).detach(), arguments["weight"].detach()
    y = arguments["relation"].group.repeat(2)
    own = F.one_hot(y, len(w)).double()

    s = x @ w.T
    g = ((s / 0.5).softmax(1) - own) / 0.5 / len(x)
    loss = function_of("item_softmax")(**arguments, temperature=0.5)[0]
    wanted = [*through("dot", x, w, g).split(N), through("dot", w, x, g.T)]
    for mine, theirs in zip(wanted, gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)

    cos, scale, margin = similarities("cosine", x, w), 16.0, 0.3
    theta = cos.acos()
    for kind, phi, slope in (
        ("cosface", cos - margin, torch.ones_like(cos)),
        ("arcface", (theta + margin).cos(), (theta + margin).sin() / theta.sin()),
    ):
        p = (scale * torch.where(own.bool(), phi, cos)).softmax(1)
        g = scale * (p - own) * torch.where(own.bool(), slope, 1.0) / len(x)
        loss = function_of("angular_margin")(**arguments, kind=kind, scale=scale, margin=margin)[0]
        wanted = [*through("cosine", x, w, g).split(N), through("cosine", w, x, g.T)]
        for mine, theirs in zip(wanted, gradients(loss, arguments), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-9), kind


def test_of_several_items():
    arguments = build("classes", N, D, seed=6)
    answers, seen = torch.tensor([[0, 1]] * 3 + [[2, -1]] * 3), torch.tensor([[3], [4], [-1]] * 2)
    arguments["relation"] = Relation(torch.arange(N), answers=answers, seen=seen)
    x, w = torch.cat(arguments["views"]).detach(), arguments["weight"].detach()
    own = F.one_hot(answers + 1, len(w) + 1).sum(1)[:, 1:].double().repeat(2, 1)
    left_out = F.one_hot(seen[:, 0] + 1, len(w) + 1)[:, 1:].bool().repeat(2, 1)
    p = (x @ w.T / 0.5).masked_fill(left_out, -math.inf).softmax(1)
    g = (p - own / own.sum(1, keepdim=True)) / 0.5 / len(x)
    loss = function_of("multinomial")(**arguments, temperature=0.5)[0]
    wanted = [*through("dot", x, w, g).split(N), through("dot", w, x, g.T)]
    for mine, theirs in zip(wanted, gradients(loss, arguments), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


def test_of_cross_entropy_swav_and_dino():
    arguments = build("scores", N, D, seed=7)
    x = arguments["scores"]
    own = F.one_hot(arguments["relation"].group, x[0].shape[1]).double()
    for mine, theirs in zip(x, gradients(function_of("cross_entropy")(**arguments)[0], arguments), strict=True):
        assert torch.allclose((mine.softmax(1) - own) / (2 * N), theirs, atol=1e-10)

    from nearfar.objectives.swav import sinkhorn

    arguments = build("prototypes", N, D, seed=7)
    scores, targets = arguments["scores"], arguments["targets"]
    for name, code in (("swav", sinkhorn), ("dino", lambda t: (t / 0.04).softmax(1))):
        found = gradients(function_of(name)(**arguments)[0], arguments)
        for i in (0, 1):
            mine = ((scores[i] / 0.1).softmax(1) - code(targets[1 - i].detach())) / 0.1 / (2 * N)
            assert torch.allclose(mine, found[i], atol=1e-9), name


# --- statistics -------------------------------------------------------------------------------------------------------


def test_of_barlow_twins():
    arguments = build("views", N, D, seed=8)
    x, y = (v.detach() for v in arguments["views"])
    scale = [(v.var(0, unbiased=False) + 1e-5).sqrt() for v in (x, y)]
    a, b = ((v - v.mean(0)) / s for v, s in zip((x, y), scale, strict=True))
    c = a.T @ b / N
    g = 2 * 5e-3 * c
    g.diagonal().copy_(-2 * (1 - c.diagonal()))
    for mine, other, s, gc, theirs in zip(
        (a, b), (b, a), scale, (g, g.T), gradients(function_of("barlow_twins")(**arguments)[0], arguments), strict=True
    ):
        ga = other @ gc.T / N
        wanted = (ga - ga.mean(0) - mine * (ga * mine).mean(0)) / s
        assert torch.allclose(wanted, theirs, atol=1e-9)


def test_of_vicreg():
    arguments = build("views", N, D, seed=8, scale=0.7)
    x, y = (v.detach() for v in arguments["views"])
    found = gradients(function_of("vicreg")(**arguments)[0], arguments)
    for a, b, theirs in ((x, y, found[0]), (y, x, found[1])):
        m, sd = a - a.mean(0), (a.var(0) + 1e-4).sqrt()
        cov = m.T @ m / (N - 1)
        off = cov - cov.diagonal().diag()
        wanted = 25 * 2 * (a - b) / (N * D) - 25 / 2 / D * (sd < 1) * m / ((N - 1) * sd)
        wanted = wanted + 4 / (D * (N - 1)) * m @ off
        assert torch.allclose(wanted, theirs, atol=1e-9)


def test_of_the_coding_rate():
    arguments = build("views", N, D, seed=9)
    found = gradients(function_of("coding_rate")(**arguments, weight=0.0)[0], arguments)
    for x, theirs in zip(arguments["views"], found, strict=True):
        x = x.detach()
        z, a = F.normalize(x, dim=1), D / (N * 0.2)
        g = -a * z @ torch.linalg.inv(torch.eye(D, dtype=torch.float64) + a * z.T @ z) / 2  # mean over two views
        wanted = (g - (g * z).sum(1, keepdim=True) * z) / x.norm(dim=1, keepdim=True)
        assert torch.allclose(wanted, theirs, atol=1e-9)


def test_of_steps_of_series():
    a, b = (torch.randn(N, 1, D, dtype=torch.float64, requires_grad=True) for _ in range(2))
    there = torch.ones(N, 1, dtype=torch.bool)
    loss, _ = function_of("hierarchical")((a, b), (there, there), instance=1.0)
    theirs = torch.autograd.grad(loss, (a, b))
    z, partner = torch.cat((a, b))[:, 0].detach(), torch.arange(2 * N).roll(N)
    p = torch.softmax((z @ z.T).fill_diagonal_(-torch.inf), 1)  # of each, among all others of both views
    p[torch.arange(2 * N), partner] -= 1
    wanted = (p @ z + p.T @ z) / (2 * N)
    assert torch.allclose(wanted, torch.cat(theirs)[:, 0], atol=1e-9)


def test_of_steps_near_each_other():
    a, b = (torch.randn(2, 6, D, dtype=torch.float64, requires_grad=True) for _ in range(2))
    there = torch.ones(2, 6, dtype=torch.bool)
    loss, _ = function_of("neighbourhood")((a, b), (there, there), near=0.2, weight=0.1)
    theirs = torch.autograd.grad(loss, a)[0]
    x = (a @ b.mT / D**0.5).detach()
    near = (torch.arange(6)[:, None] - torch.arange(6)).abs() <= 1
    rise = torch.where(near, (x.sigmoid() - 1) / (2 * near.sum()), (x.sigmoid() - 0.1) / (2 * (~near).sum()))
    assert torch.allclose(rise @ b.detach() / D**0.5, theirs, atol=1e-9)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_every_objective_has_its_section_and_every_test_it_names_exists():
    text = (ROOT / "docs" / "formulas.md").read_text(encoding="utf-8")
    for name in OBJECTIVES:
        assert re.search(rf"^### .*`{name}`", text, re.M), name
    tests = "".join(f.read_text(encoding="utf-8") for f in (ROOT / "tests").rglob("test_*.py"))
    for test in set(re.findall(r"`(test_\w+)`", text)):
        assert f"def {test}(" in tests or f"{test}.py" in text, test


def test_a_batch_of_equal_rows_pulls_nobody():
    """With all similarities equal the softmax losses' gradient through the cosine is zero: a point of rest."""
    arguments = changed(build("views", N, D), lambda v: torch.ones_like(v).requires_grad_())
    for name in ("info_nce", "supcon", "dcl"):
        assert all(float(g.abs().max()) < 1e-9 for g in gradients(function_of(name)(**arguments)[0], arguments))
