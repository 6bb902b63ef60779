"""Every objective of the registry keeps what it declares, and equals a slow, obvious reference in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives.cross_entropy import cross_entropy
from nearfar.objectives.info_nce import info_nce, info_nce_against
from nearfar.objectives.negative_cosine import negative_cosine
from nearfar.objectives.relation import Relation
from nearfar.objectives.supcon import supcon
from nearfar.registry import OBJECTIVES


def unit(x):
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)


def slow_supcon(views, group, tau, variant="out"):
    """Khosla et al. 2020, equations 2 and 3, row by row."""
    z, g = unit(torch.cat(views)), group.repeat(len(views))
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if g[p] == g[i]]
        if not positives:
            continue
        denominator = torch.logsumexp(torch.stack([z[i] @ z[a] / tau for a in others]), 0)
        logs = torch.stack([z[i] @ z[p] / tau - denominator for p in positives])
        losses.append(-logs.mean() if variant == "out" else -(logs.logsumexp(0) - math.log(len(positives))))
    return torch.stack(losses).mean()


def slow_against(q, k, group, memory, memory_groups, tau):
    """He et al. 2020, equation 1, without memory of the row's own group."""
    q, k, m = unit(q), unit(k), unit(memory)
    losses = []
    for i in range(len(q)):
        terms = [q[i] @ k[i] / tau] + [q[i] @ m[j] / tau for j in range(len(m)) if memory_groups[j] != group[i]]
        losses.append(torch.logsumexp(torch.stack(terms), 0) - terms[0])
    return torch.stack(losses).mean()


def slow_cosine(p, t):
    return torch.stack([2 - 2 * (unit(a) * unit(b)).sum(1) for a, b in zip(p, t, strict=True)]).mean()


def case(name, views, group, tau=0.2):
    """(fast, slow) values of the objective called `name` on the same inputs."""
    if name == "info_nce":
        return info_nce(views, Relation(group), temperature=tau)[0], slow_supcon(views, group, tau)
    if name == "supcon":
        return supcon(views, Relation(group), temperature=tau)[0], slow_supcon(views, group, tau)
    if name == "negative_cosine":
        return negative_cosine(views, views[::-1], relation=Relation(group))[0], slow_cosine(
            views, [v.detach() for v in views[::-1]]
        )
    if name == "cross_entropy":
        classes = group % views[0].shape[1]
        rows = [F.log_softmax(v, 1)[torch.arange(len(v)), classes] for v in views]
        return cross_entropy(views, Relation(classes))[0], -torch.cat(rows).mean()
    pytest.fail(f"the objective {name} has no reference here: write one")


def inputs(n, d, count=2, seed=0, scale=1.0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return [(scale * torch.randn(n, d, generator=g, dtype=dtype)).requires_grad_() for _ in range(count)]


def close(value, reference, tau):
    slack = max(1, 0.05 / tau)
    assert abs(float(value) - float(reference)) <= 1e-5 * max(1, abs(float(reference))) * slack


@pytest.mark.parametrize("name", [*OBJECTIVES])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_equals_the_reference_in_float64(name, n):
    if name == "cross_entropy" and n == 1:
        n = 3
    views = inputs(n, 5)
    fast, slow = case(name, views, torch.arange(n))
    assert abs(float(fast.detach() - slow.detach())) < 1e-10
    for a, b in zip(torch.autograd.grad(fast, views), torch.autograd.grad(slow, views), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("name", ["info_nce", "supcon"])
@pytest.mark.parametrize("tau", [0.01, 0.025, 0.07, 0.5, 10.0])
def test_every_temperature_in_float32(name, tau):
    group = torch.tensor([0, 1, 2, 2, 3, 4, 4, 5, 6])
    exact = inputs(9, 6, seed=3, scale=4.0)
    views = [v.detach().float().requires_grad_() for v in exact]
    fast, _ = case(name, views, group, tau)
    _, slow = case(name, exact, group, tau)
    close(fast.detach(), slow.detach(), tau)
    got, want = torch.autograd.grad(fast, views), torch.autograd.grad(slow, exact)
    for a, b in zip(got, want, strict=True):
        assert (a.double() - b).norm() <= 1e-4 * max(1, 0.05 / tau) * b.norm() + 1e-9


def test_smallest_temperature_with_opposite_vectors():
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    views, exact = [a, -a], [a.double(), -a.double()]
    loss, _ = info_nce(views, Relation(torch.arange(2)), temperature=0.01)
    close(loss, slow_supcon(exact, torch.arange(2), 0.01), 0.01)
    assert math.isfinite(float(loss))


@pytest.mark.parametrize("variant", ["out", "in"])
def test_supcon_with_several_positives(variant):
    group = torch.tensor([0, 0, 1, 1, 1, 2, 3])
    views = inputs(7, 4, seed=1)
    fast, numbers = supcon(views, Relation(group), temperature=0.1, variant=variant)
    slow = slow_supcon(views, group, 0.1, variant)
    assert abs(float(fast.detach() - slow.detach())) < 1e-10
    assert int(numbers["anchors"]) == 14
    for a, b in zip(torch.autograd.grad(fast, views), torch.autograd.grad(slow, views), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_rows_without_a_positive_are_left_out_and_counted():
    views = inputs(5, 4, count=1)
    group = torch.tensor([0, 0, 1, 2, 3])
    loss, numbers = supcon(views, Relation(group), temperature=0.3)
    assert int(numbers["anchors"]) == 2
    assert abs(float(loss.detach() - slow_supcon(views, group, 0.3).detach())) < 1e-10
    with pytest.raises(ValueError, match="every row is alone"):
        supcon(views, Relation(torch.arange(5)))


def test_ignored_rows_leave_the_denominator():
    views = inputs(4, 3, seed=2)
    group, ignore = torch.arange(4), torch.tensor([0, 0, 1, 2])
    loss, _ = info_nce(views, Relation(group, ignore), temperature=0.2)
    z, g, ig = unit(torch.cat(views)), group.repeat(2), ignore.repeat(2)
    want = []
    for i in range(8):
        seen = [a for a in range(8) if a != i and (ig[a] != ig[i] or g[a] == g[i])]
        p = next(a for a in seen if g[a] == g[i])
        want.append(torch.logsumexp(torch.stack([z[i] @ z[a] / 0.2 for a in seen]), 0) - z[i] @ z[p] / 0.2)
    assert abs(float(loss.detach() - torch.stack(want).mean().detach())) < 1e-10


def test_against_a_memory():
    q, k = inputs(5, 4, seed=4)
    memory = inputs(11, 4, count=1, seed=5)[0].detach()
    group, groups = torch.tensor([0, 1, 2, 3, 3]), torch.tensor([-1, -1, 0, 3, 9, 8, 7, 6, 5, 2, 1])
    fast, _ = info_nce_against(q, k, Relation(group), memory_keys=memory, memory_groups=groups, temperature=0.07)
    slow = slow_against(q, k, group, memory, groups, 0.07)
    assert abs(float(fast.detach() - slow.detach())) < 1e-10
    for a, b in zip(torch.autograd.grad(fast, (q, k)), torch.autograd.grad(slow, (q, k)), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_gradients_by_finite_differences_and_of_a_learnt_temperature():
    views, tau = inputs(5, 3), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    relation = Relation(torch.tensor([0, 1, 1, 2, 3]))
    assert torch.autograd.gradcheck(lambda a, b, t: supcon([a, b], relation, temperature=t)[0], (*views, tau))
    cold = torch.tensor(0.012, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b, t: supcon([a, b], relation, temperature=t)[0], (*views, cold))


@pytest.mark.parametrize("tile", [3, 4, 16])
def test_tiles_of_any_size_agree(tile, monkeypatch):
    from nearfar.objectives import tiles

    group = torch.tensor([0, 1, 2, 2, 3, 4, 4, 5, 6])
    views = inputs(9, 6, seed=3)
    reference = slow_supcon(views, group, 0.2)
    monkeypatch.setattr(tiles, "TILE", tile)
    for tau_case in (0.2,):
        fast, _ = supcon(views, Relation(group), temperature=tau_case)
        assert abs(float(fast.detach() - reference.detach())) < 1e-10
        for a, b in zip(torch.autograd.grad(fast, views), torch.autograd.grad(reference, views), strict=True):
            assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(dtype):
    views = [v.detach().to(dtype) for v in inputs(16, 8, seed=7)]
    loss, _ = info_nce(views, Relation(torch.arange(16)), temperature=0.1)
    close(loss, slow_supcon([v.double() for v in views], torch.arange(16), 0.1), 0.1)
    assert loss.dtype == torch.float32


def test_equal_and_zero_rows():
    equal = [torch.ones(6, 4), torch.ones(6, 4)]
    loss, _ = info_nce(equal, Relation(torch.arange(6)), temperature=0.2)
    assert float(loss) == pytest.approx(math.log(11), abs=1e-5)  # the no-learning level
    zero = [torch.zeros(6, 4, requires_grad=True), torch.randn(6, 4)]
    loss, _ = info_nce(zero, Relation(torch.arange(6)), temperature=0.2)
    loss.backward()
    assert torch.isfinite(zero[0].grad).all()


@pytest.mark.parametrize("name", [*OBJECTIVES])
def test_no_learning_level_is_that_of_equal_similarities(name):
    level = OBJECTIVES.get(name).INFO.no_learning
    if level is None or name == "cross_entropy":
        return
    views = [torch.ones(8, 3), torch.ones(8, 3)]
    assert float(case(name, views, torch.arange(8))[0]) == pytest.approx(level(8, 2, 0), abs=1e-5)


@pytest.mark.parametrize("name", [*OBJECTIVES])
@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 12), d=st.integers(2, 9), seed=st.integers(0, 10**6))
def test_declared_symmetries(name, n, d, seed):
    views = [v.detach() for v in inputs(n, d, seed=seed)]
    group = torch.arange(n) // 2 if name == "supcon" else torch.arange(n)
    value = float(case(name, views, group)[0])
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    for symmetry in OBJECTIVES.get(name).INFO.symmetries:
        if symmetry == "rows":
            other = case(name, [v[order] for v in views], group[order])[0]
        elif symmetry == "views":
            other = case(name, views[::-1], group)[0]
        else:
            other = case(name, views, 3 * group + 5)[0]
        assert float(other) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("views", "group", "tau", "said"),
    [
        ([torch.randn(3, 2)], torch.arange(3), 0.1, "at least 2"),
        ([torch.randn(3, 2), torch.randn(4, 2)], torch.arange(3), 0.1, "expected 3 rows"),
        ([torch.randn(3, 2), torch.randn(3, 4)], torch.arange(3), 0.1, "expected shape"),
        ([torch.ones(3, 2).long()] * 2, torch.arange(3), 0.1, "floating point"),
        ([torch.randn(3, 0)] * 2, torch.arange(3), 0.1, "dimension"),
        ([torch.randn(3, 2)] * 2, torch.arange(3), 0.0, "above 0"),
        ([torch.randn(3, 2)] * 2, torch.arange(4), 0.1, "expected 4 rows"),
    ],
)
def test_bad_input_is_named(views, group, tau, said):
    with pytest.raises(ValueError, match=said):
        info_nce(views, Relation(group), temperature=tau)


def test_relation_refuses_what_are_no_groups():
    with pytest.raises(ValueError, match="whole numbers"):
        Relation(torch.randn(3))
    with pytest.raises(ValueError, match="3 entries"):
        Relation(torch.arange(3), torch.arange(4))


def test_same_inputs_same_bits():
    views = [v.detach().float() for v in inputs(300, 16)]
    first, second = (info_nce(views, Relation(torch.arange(300)))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_memory_grows_with_rows_not_with_their_square(monkeypatch):
    """No tensor larger than a tile or an N × D matrix is ever made."""
    from nearfar.objectives import tiles

    monkeypatch.setattr(tiles, "TILE", 64)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, kinds, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    views = [torch.randn(512, 8, requires_grad=True) for _ in range(2)]
    with Watch():
        info_nce(views, Relation(torch.arange(512)))[0].backward()
    assert largest <= max(64 * 64, 1024 * 8)
