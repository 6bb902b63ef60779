"""Softmax over a table of items: recommenders with few or with very many items."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, Views, World, checks
from nearfar.objectives.kernel.classes import against

INFO = Objective(
    function="item_softmax",
    formula="L_i = −log( e^{s_iy/τ − log q_y} / (e^{s_iy/τ − log q_y} + Σ_{c∈S, c≠y} e^{s_ic/τ − log q_c}) )",
    paper="Bengio & Senécal 2008; Yi et al. 2019 (sampling-bias-corrected)",
    arxiv="–",
    takes="classes",
    symmetries=("rows", "views"),
    data=("pairs",),
    neighbours="info_nce_between takes the items of the batch as the table; bpr compares with an item at a time.",
    no_learning=lambda rows, views, items: math.log(items) if items else math.inf,
)


def item_softmax(
    views: Views, relation: Relation, weight: torch.Tensor, *, temperature: Scalar = 1.0,
    sampled: torch.Tensor | None = None, log_q: torch.Tensor | None = None, similarity: str = "dot",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Full or sampled softmax over items, with log q correction.

    Bengio & Senécal 2008 (IEEE Transactions on Neural Networks 19); Yi et al. 2019 (RecSys). With s the similarity of
    user i with items c, y the item it goes with and S all or some of the items::

        L = mean_i  −log( exp(x_iy) / ( exp(x_iy) + Σ_{c∈S, c≠y} exp(x_ic) ) ),   x_ic = s_ic/τ − log q_c

    Needs pairs of which one side is an item of a table. Without learning it is ln(C), or ln(S) sampled. The correction
    is taken off the right item too, as Yi et al. and TensorFlow do; others leave that out, the right item not being
    drawn. Memory is O(N·D + C·D). `info_nce_between` has the items of the batch for a table.

    Parameters
    ----------
    views : Views
        Users, queries or sessions.
    relation : Relation
        Group of each row is its item; groups from C on are rows without one, which are left out.
    weight : Tensor (C, D)
        The items, the same tensor on all processes.
    sampled : LongTensor (S,), optional
        Different item numbers, the same on all processes, of which the sum consists; all by default. A row's own item
        is always its numerator and counted once. See `nearfar.objectives.kernel.classes.sample_classes`.
    log_q : Tensor (C,), optional
        Logarithm of how likely each item comes into `sampled`, up to a constant: taken off, so that popular items are
        not punished for being drawn more often.
    """
    tau = checks.temperature(temperature)
    with torch.autocast(relation.group.device.type, enabled=False):
        c = against(views, relation, weight, sampled, similarity)
        target, bias = c.own / tau, None
        if log_q is not None:
            if log_q.shape != (len(weight),) or not bool(torch.isfinite(log_q).all()):
                raise ValueError(f"log_q: expected {len(weight)} finite numbers, got shape {tuple(log_q.shape)}")
            log_q = log_q.detach().to(target)
            target = target - log_q[torch.where(c.labelled, c.pairs.row_group, 0)]
            bias = -log_q[c.pairs.column_group]
        return c.softmax_loss(target, 1 / tau, world, bias)
