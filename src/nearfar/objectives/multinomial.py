"""Multinomial likelihood of a user's items: all of them share one softmax over a table."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, Views, World, checks, mean
from nearfar.objectives.kernel.classes import UNLABELLED
from nearfar.objectives.kernel.relation import NOBODY

INFO = Objective(
    function="multinomial",
    formula="L_i = log Σ_{c∉seen(i)} e^{x_ic} − 1/|A(i)| Σ_{a∈A(i)} x_ia,   x_ic = s_ic/τ − log q_c",
    paper="Liang et al. 2018",
    arxiv="1802.05814",
    takes="classes",
    symmetries=("rows", "views"),
    data=("pairs",),
    neighbours="With one item a row it is item_softmax, which needs no memory for all pairs of rows and items.",
    no_learning=lambda rows, views, items: math.log(items) if items else math.inf,
)


def multinomial(
    views: Views, relation: Relation, weight: torch.Tensor, *, temperature: Scalar = 1.0,
    log_q: torch.Tensor | None = None, world: World = ONE,
) -> Compared:  # fmt: skip
    """Multinomial log likelihood of several items a row (Liang et al. 2018, arXiv 1802.05814).

    With s the dot products of user i with the items c of a table, A(i) the items to be found, and those that the user
    is known by left out of the sum::

        L = mean_i  log Σ_{c∉seen(i)} exp(x_ic) − 1/|A(i)| Σ_{a∈A(i)} x_ia,   x_ic = s_ic/τ − log q_c

    Needs users, each with items that are to be found. Without learning it is ln(C), less for what is seen. The paper
    sums over a user's items, so that users of many items count more; here all users count alike. Memory is O(N·C).

    Parameters
    ----------
    relation : Relation
        ``answers`` of each row, and what it has ``seen``. Without answers the group of each row is its item, and groups
        from C on are rows without one. Rows without any are left out.
    weight : Tensor (C, D)
        The items, or some that were drawn.
    log_q : Tensor (C,), optional
        Logarithm of how likely each item is among those drawn, up to a constant: taken off, so that popular items are
        not punished for being drawn more often.
    """
    xs = checks.same_shapes("views", views, len(relation))
    tau, table = checks.temperature(temperature), checks.embeddings("weight", weight)
    if table.shape[1] != xs[0].shape[1]:
        raise ValueError(f"weight: expected {xs[0].shape[1]} dimensions as the views have, got {table.shape[1]}")
    answers = _answers(relation, len(table))
    there = answers != NOBODY
    count, place = there.sum(1), answers.clamp(min=0)
    left_out = _left_out(relation.seen, place, there, len(table))
    losses, found = [], []
    with torch.autocast(table.device.type, enabled=False):
        for x in xs:
            similar = x.to(table.dtype) @ table.T
            logits = similar / tau if log_q is None else similar / tau - log_q.detach().to(table)
            own = (logits.gather(1, place) * there).sum(1) / count.clamp(min=1)
            losses.append(logits.masked_fill(left_out, -math.inf).logsumexp(1) - own)
            found.append((similar.detach().gather(1, place) * there).sum(1) / count.clamp(min=1))
        labelled = (count > 0).repeat(len(xs))
        loss, anchors = mean(torch.cat(losses), labelled, world, UNLABELLED)
        positive, _ = mean(torch.cat(found), labelled, world, UNLABELLED)
    return loss, {"anchors": anchors.detach(), "positive": world.all_reduce(positive) / world.size}


def _answers(relation: Relation, items: int) -> torch.Tensor:
    """The items that each row is to find, (N, A)."""
    if relation.answers is None:
        return torch.where(relation.group < items, relation.group, NOBODY)[:, None]
    if int(relation.answers.max()) >= items or int(relation.answers.min()) < NOBODY:
        raise ValueError(f"relation.answers: expected whole numbers below {items}, or {NOBODY}")
    return relation.answers


def _left_out(seen: torch.Tensor | None, place: torch.Tensor, there: torch.Tensor, items: int) -> torch.Tensor:
    """Which items are not in a row's sum, bool (N, C): those it has seen but for its answers."""
    marked = torch.zeros(len(place), items + 1, dtype=torch.bool, device=place.device)  # the last for what is nobody
    if seen is not None:
        marked.scatter_(1, torch.where(seen < 0, items, seen), True)
        marked.scatter_(1, torch.where(there, place, items), False)
    return marked[:, :items]
