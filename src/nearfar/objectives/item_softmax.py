"""Softmax over a table of items: recommenders with few or with very many items."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from nearfar.objectives.kernel import checks, tiles
from nearfar.objectives.kernel.classes import against
from nearfar.objectives.kernel.info import Objective
from nearfar.objectives.kernel.pairs import Pairs, Tile, reduce
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World, average, mean

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
    views: Sequence[torch.Tensor], relation: Relation, weight: torch.Tensor, *,
    temperature: float | torch.Tensor = 1.0, sampled: torch.Tensor | None = None, log_q: torch.Tensor | None = None,
    similarity: str = "dot", world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Full or sampled softmax over items, with log q correction.

    Bengio & Senécal 2008 (IEEE Transactions on Neural Networks 19); Yi et al. 2019 (RecSys). With s the similarity of
    user i with items c, y the item it goes with and S all or some of the items::

        L = mean_i  −log( exp(x_iy) / ( exp(x_iy) + Σ_{c∈S, c≠y} exp(x_ic) ) ),   x_ic = s_ic/τ − log q_c

    Parameters
    ----------
    views : sequence of V tensors (N, D)
        Users, queries or sessions.
    relation : Relation
        Group of each row is its item; groups from C on are rows without one, which are left out.
    weight : Tensor (C, D)
        The items, the same tensor on all processes.
    temperature : float or tensor ()
        τ > 0, in units of the similarity; a tensor gets a gradient.
    sampled : LongTensor (S,), optional
        Different item numbers, the same on all processes, of which the sum consists; all by default. A row's own item
        is always its numerator and counted once. See `nearfar.objectives.kernel.classes.sample_classes`.
    log_q : Tensor (C,), optional
        Logarithm of how likely each item comes into `sampled`, up to a constant: taken off, so that popular items are
        not punished for being drawn more often.
    similarity : {"dot", "cosine", "euclidean", "squared_euclidean"}
        Distances count negatively.
    world : World

    Returns
    -------
    loss : Tensor ()
        Mean over the rows that have an item.
    numbers : dict
        ``anchors``: how many there were; ``positive``: their mean similarity with their item.

    Raises
    ------
    ValueError
        An argument is not of the kind described; no row has an item.

    Notes
    -----
    Needs pairs of which one side is an item of a table. Without learning it is ln(C), or ln(S) sampled. The correction
    is taken off the right item too, as Yi et al. and TensorFlow do; others leave that out, the right item not being
    drawn. Memory is O(N·D + C·D). `info_nce_between` has the items of the batch for a table.
    """
    tau = checks.temperature(temperature)
    with torch.autocast(relation.group.device.type, enabled=False):
        c = against(views, relation, weight, sampled, similarity)
        target, bias = c.own / tau, None
        if log_q is not None:
            log_q = _checked(log_q, len(weight)).to(target)
            target = target - log_q[torch.where(c.labelled, c.pairs.row_group, 0)]
            bias = -log_q[c.pairs.column_group]
        losses = torch.logaddexp(_others(c.pairs, 1 / tau, bias), target) - target
        loss, anchors = mean(losses, c.labelled, world, c.nobody)
    return loss, {"anchors": anchors.detach(), "positive": average(c.own, c.labelled, anchors, world)}


def _others(pairs: Pairs, scale: float | torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """log Σ exp(scale · s_ic + bias_c) over the items that are not the row's own."""
    if pairs.similarity in ("dot", "cosine"):
        return tiles.logsumexp(
            pairs.rows, pairs.columns, scale, lambda a, b: pairs.unseen("negatives", a, b), bias=bias
        )

    def term(tile: Tile, scale: torch.Tensor) -> torch.Tensor:
        x = scale * tile.similarity
        return tile.only("negatives", x if bias is None else x + bias[None, tile.columns], -torch.inf)

    return reduce(pairs, term, torch.as_tensor(scale, dtype=pairs.rows.dtype, device=pairs.rows.device))


def _checked(log_q: torch.Tensor, items: int) -> torch.Tensor:
    if log_q.shape != (items,) or not bool(torch.isfinite(log_q).all()):
        raise ValueError(f"log_q: expected {items} finite numbers, got shape {tuple(log_q.shape)}")
    return log_q.detach()
