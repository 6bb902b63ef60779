"""What InfoNCE and SupCon can do beyond the contract: queues, hard negatives, ignored and listed rows, learnt τ."""

import math

import pytest
import torch

from nearfar.objectives.info_nce import info_nce, info_nce_against, info_nce_between
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.sigmoid import sigmoid
from nearfar.objectives.supcon import supcon
from tests.helpers.inputs import similarity, unit
from tests.objectives.reference.supcon import reference as slow_supcon


def rows(n, d, count=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(count)]


def same(fast, slow, inputs):
    assert abs(float(fast.detach() - slow.detach())) < 1e-10
    for a, b in zip(torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def slow_between(left, right, group, tau, negatives=None, kind="cosine"):
    """Radford et al. 2021, figure 3: rows of the matrix of similarities, row by row; several positives averaged."""
    losses = []
    for i in range(len(left)):
        logits = [similarity(left[i], right[j], kind) / tau for j in range(len(right))]
        more = [] if negatives is None else [similarity(left[i], n, kind) / tau for n in negatives.flatten(0, 1)]
        positives = torch.stack([x for j, x in enumerate(logits) if group[j] == group[i]])
        losses.append(torch.logsumexp(torch.stack(logits + more), 0) - positives.mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("kind", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("hard", [False, True])
def test_two_columns_with_hard_negatives(kind, hard):
    left, right = rows(5, 4, 2)
    group = torch.tensor([0, 1, 2, 2, 3])
    negatives = torch.stack([r for r in rows(5, 4, 3, seed=9)], 1) if hard else None
    fast, _ = info_nce_between(left, right, Relation(group), negatives=negatives, temperature=0.3, similarity=kind)
    slow = (
        slow_between(left, right, group, 0.3, negatives, kind) + slow_between(right, left, group, 0.3, None, kind)
    ) / 2
    same(fast, slow, (left, right))
    one_way, _ = info_nce_between(left, right, Relation(group), temperature=0.3, similarity=kind, both_ways=False)
    same(one_way, slow_between(left, right, group, 0.3, None, kind), (left, right))


def test_against_a_memory():
    """He et al. 2020, equation 1, without memory of the row's own group."""
    q, k = rows(5, 4, 2, seed=4)
    memory = rows(11, 4, seed=5)[0].detach()
    group, groups = torch.tensor([0, 1, 2, 3, 3]), torch.tensor([-1, -1, 0, 3, 9, 8, 7, 6, 5, 2, 1])
    fast, _ = info_nce_against(q, k, Relation(group), memory_keys=memory, memory_groups=groups, temperature=0.07)
    losses = []
    for i in range(5):
        terms = [unit(q[i]) @ unit(k[i]) / 0.07]
        terms += [unit(q[i]) @ unit(memory[j]) / 0.07 for j in range(11) if groups[j] != group[i]]
        losses.append(torch.logsumexp(torch.stack(terms), 0) - terms[0])
    same(fast, torch.stack(losses).mean(), (q, k))
    with pytest.raises(ValueError, match="memory_groups"):
        info_nce_against(q, k, Relation(group), memory_keys=memory)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_ignored_rows_leave_the_denominator(kind):
    views = rows(4, 3, 2, seed=2)
    relation = Relation(torch.arange(4), torch.tensor([0, 0, 1, 2]))
    same(
        info_nce(views, relation, temperature=0.2, similarity=kind)[0],
        slow_supcon(views, relation, 0.2, similarity=kind), views,
    )  # fmt: skip


def test_listed_positives_and_negatives():
    views, group = rows(6, 4, 2, seed=6), torch.arange(6)
    near = torch.tensor([[1, -1], [0, 2], [-1, -1], [5, 4], [3, -1], [3, 0]])
    hard = torch.tensor([[2, 3], [3, 4], [0, 1], [0, 1], [5, 0], [1, 2]])
    relation = Relation(group, positive_rows=near, negative_rows=hard)
    fast, numbers = supcon(views, relation, temperature=0.3)
    z, row = unit(torch.cat(views)), torch.arange(6).repeat(2)
    losses = []
    for i in range(12):
        r = int(row[i])
        positives = [j for j in range(12) if j != i and (row[j] == r or int(row[j]) in near[r].tolist())]
        negatives = [j for j in range(12) if j not in positives and j != i and int(row[j]) in hard[r].tolist()]
        s = {j: z[i] @ z[j] / 0.3 for j in positives + negatives}
        denominator = torch.logsumexp(torch.stack([*s.values()]), 0)
        losses.append(denominator - torch.stack([s[j] for j in positives]).mean())
    same(fast, torch.stack(losses).mean(), views)
    assert int(numbers["anchors"]) == 12


def test_rows_without_a_positive_are_left_out_and_counted():
    (view,) = rows(5, 4)
    group = torch.tensor([0, 0, 1, 2, 3])
    loss, numbers = supcon([view], Relation(group), temperature=0.3)
    assert int(numbers["anchors"]) == 2
    assert abs(float(loss.detach() - slow_supcon([view], Relation(group), 0.3).detach())) < 1e-10
    with pytest.raises(ValueError, match="every row is alone"):
        supcon([view], Relation(torch.arange(5)))


@pytest.mark.parametrize("at", [0.3, 0.012])
def test_gradient_of_a_learnt_temperature(at):
    views = rows(5, 3, 2)
    tau, relation = torch.tensor(at, dtype=torch.float64, requires_grad=True), Relation(torch.tensor([0, 1, 1, 2, 3]))
    for kind in ("cosine", "euclidean"):
        assert torch.autograd.gradcheck(
            lambda a, b, t, k=kind: supcon([a, b], relation, temperature=t, similarity=k)[0], (*views, tau)
        )


def test_gradient_of_the_sigmoids_scale_and_bias():
    t, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (3.0, -1.0))
    relation = Relation(torch.tensor([0, 1, 1, 2]))
    assert torch.autograd.gradcheck(
        lambda x, y, t, b: sigmoid(x, y, relation, scale=t, bias=b)[0], (*rows(4, 3, 2), t, b)
    )


@pytest.mark.parametrize("kind", ["cosine", "dot", "squared_euclidean"])
def test_smallest_temperature_with_opposite_vectors(kind):
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss, _ = info_nce([a, -a], Relation(torch.arange(2)), temperature=0.01, similarity=kind)
    exact = slow_supcon([a.double(), -a.double()], Relation(torch.arange(2)), 0.01, similarity=kind)
    assert math.isfinite(float(loss))
    assert abs(float(loss) - float(exact)) <= 5e-5 * abs(float(exact))


def test_near_points_keep_their_digits():
    """Distances of points that lie close together far from the origin, where |x|² + |y|² − 2xy would cancel."""
    base = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)) * 10
    views = [base + 1e-2 * torch.randn(40, 16, generator=torch.Generator().manual_seed(i)) for i in (1, 2)]
    relation = Relation(torch.arange(40))
    loss, _ = info_nce(views, relation, temperature=0.01, similarity="euclidean")
    exact = slow_supcon([v.double() for v in views], relation, 0.01, similarity="euclidean")
    assert abs(float(loss) - float(exact)) <= 1e-5 * 5 * abs(float(exact))


def test_rows_that_show_the_same_are_no_negatives():
    """Views 2 and 4 show others' rows: who has a number in common leaves the denominator, wherever it stands."""
    shown, ignore = [{0, 1}, {1, 5}, {2, 3}, {4, 3}, {6, 7}], torch.tensor([0, 1, 2, 2, 6])
    numbers = torch.tensor([[0, 1], [1, 5], [2, 3], [4, 3], [6, 7]])
    relation = Relation(torch.arange(5), ignore, shown=numbers)
    views = rows(5, 4, 2, seed=8)
    z, row = unit(torch.cat(views)), torch.arange(5).repeat(2)

    def apart(i, j):
        return not shown[i] & shown[j] and ignore[i] != ignore[j]

    losses = []
    for x in range(10):
        positive = z[x] @ z[(x + 5) % 10] / 0.2
        negatives = [z[x] @ z[y] / 0.2 for y in range(10) if apart(int(row[x]), int(row[y]))]
        losses.append(torch.logsumexp(torch.stack([positive, *negatives]), 0) - positive)
    same(info_nce(views, relation, temperature=0.2)[0], torch.stack(losses).mean(), views)

    left, right = views
    hard, number = rows(5, 4, seed=3)[0], torch.tensor([5, -1, 7, -1, 3])
    x, y, n = unit(left), unit(right), unit(hard)
    losses = []
    for forth in (True, False):
        a, b = (x, y) if forth else (y, x)
        for i in range(5):
            seen = [a[i] @ b[j] / 0.2 for j in range(5) if j == i or apart(i, j)]
            if forth:
                seen += [a[i] @ n[k] / 0.2 for k in range(5) if int(number[k]) not in shown[i] | {int(ignore[i])}]
            losses.append(torch.logsumexp(torch.stack(seen), 0) - a[i] @ b[i] / 0.2)
    fast, _ = info_nce_between(
        left, right, relation, negatives=hard[:, None], negative_ignore=number[:, None], temperature=0.2
    )
    same(fast, torch.stack(losses).mean(), (left, right, hard))


def test_what_a_guide_finds_nearer_is_no_negative():
    """Solatorio 2024, section 3.2, pair by pair: another model's similarities against those of the row's own sides."""
    left, right = rows(6, 4, 2, seed=2)
    guide = torch.stack([torch.nn.functional.normalize(x.detach(), dim=1) for x in rows(6, 3, 2, seed=7)], 1)
    relation, hard = Relation(torch.arange(6), guide=guide), rows(6, 4, seed=3)[0]

    def loss(x, y, mine, theirs, more=()):
        losses, left_out = [], 0
        for i in range(6):
            seen = [j for j in range(6) if j == i or mine[i] @ theirs[j] <= mine[i] @ theirs[i]]
            left_out += 6 - len(seen)
            terms = [x[i] @ y[j] / 0.2 for j in seen] + [x[i] @ n / 0.2 for n in more]
            losses.append(torch.logsumexp(torch.stack(terms), 0) - x[i] @ y[i] / 0.2)
        assert 0 < left_out < 30
        return torch.stack(losses).mean()

    g, h = guide.unbind(1)
    slow = (loss(unit(left), unit(right), g, h, unit(hard)) + loss(unit(right), unit(left), h, g)) / 2
    fast, _ = info_nce_between(left, right, relation, negatives=hard[:, None], temperature=0.2)
    same(fast, slow, (left, right, hard))

    # Of views all sides are compared with all: what counts is the row's other side again.
    z, every = unit(torch.cat((left, right))), torch.cat((g, h))
    losses = []
    for i in range(12):
        own = (i + 6) % 12
        near = every[i] @ every[own]
        seen = [j for j in range(12) if j != i and (j == own or every[i] @ every[j] <= near)]
        losses.append(torch.logsumexp(torch.stack([z[i] @ z[j] / 0.2 for j in seen]), 0) - z[i] @ z[own] / 0.2)
    same(info_nce([left, right], relation, temperature=0.2)[0], torch.stack(losses).mean(), (left, right))

    plain = Relation(torch.arange(6), guide=torch.ones(6, 2, 1))  # to this guide all are equally near
    same(
        sigmoid(left, right, plain, scale=5.0, bias=-1.0)[0],
        sigmoid(left, right, Relation(plain.group), scale=5.0, bias=-1.0)[0], (left, right),
    )  # fmt: skip
    with pytest.raises(ValueError, match="relation.guide: expected vectors of 2 sides, got 1"):
        info_nce_between(left, right, Relation(torch.arange(6), guide=guide[:, :1]))
