"""InfoNCE: find the positive among the others."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from nearfar.objectives.kernel import (
    NOBODY,
    ONE,
    Compared,
    Objective,
    Relation,
    Scalar,
    Views,
    World,
    checks,
    mean_of_anchors,
    similar,
)
from nearfar.objectives.kernel.pairs import Pairs, among, between, logsumexp
from nearfar.objectives.supcon import softmax_loss

INFO = Objective(
    function="info_nce",
    formula="L_i = −log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )",
    paper="van den Oord et al. 2018; Chen et al. 2020 (NT-Xent)",
    arxiv="1807.03748, 2002.05709",
    takes="views",
    data=("one column", "pairs", "triplets"),
    neighbours="Several positives per row make it supcon; without the positive in the denominator it is dcl.",
    degenerate=lambda rows, views: math.log(rows * views - 1),
    no_learning=lambda rows, views, memory: math.log(memory + 1 if memory else rows * views - 1),
)


def info_nce(
    views: Views, relation: Relation, *, temperature: Scalar = 0.2, similarity: str = "cosine", world: World = ONE
) -> Compared:
    """NT-Xent, the symmetric InfoNCE of SimCLR (Chen et al. 2020, arXiv 2002.05709), of V ≥ 2 views.

    Cross entropy of one embedding's other view among all other embeddings of the batch, itself left out::

        L = mean_i  −log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) ),   s the similarity

    Needs one column and views of it. Without learning the loss is ln(V·N − 1). More than one positive per row makes
    it `supcon` ("out"). For two columns see `info_nce_between`, for keys of another network and a queue
    `info_nce_against`.
    """
    xs = checks.same_shapes("views", views, len(relation), least=2)
    with torch.autocast(xs[0].device.type, enabled=False):
        return softmax_loss(among(xs, relation, world, similarity), temperature, "out", world)


def info_nce_between(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, negatives: torch.Tensor | None = None,
    negative_ignore: torch.Tensor | None = None, temperature: Scalar = 0.07, similarity: str = "cosine",
    both_ways: bool = True, world: World = ONE,
) -> Compared:  # fmt: skip
    """InfoNCE of two columns: CLIP's loss (Radford et al. 2021, arXiv 2103.00020), with hard negatives if given.

    ::

        L = ½ (L_left→right + L_right→left),   L_l→r = mean_i −log( exp(s(l_i, r_i)/τ) / Σ_j exp(s(l_i, r_j)/τ) )

    where j runs over the right side of all rows and, from left to right, over everybody's hard negatives (Karpukhin
    et al. 2020, arXiv 2004.04906). Of several positives across the sides the mean is taken outside of the logarithm.

    Needs pairs (or triplets: the third column as `negatives`). Without learning the loss is ln(N), or
    ln(N·(1 + K)) from left to right. Sentence-transformers calls it MultipleNegativesRankingLoss.

    Parameters
    ----------
    negatives : Tensor (N, K, D), optional
        Hard negatives of each left row; negatives of all other left rows too.
    negative_ignore : LongTensor (N, K) or, as ``relation.ignore`` has several numbers a row, (N, K, C), optional
        A negative is ignored by the rows whose ``relation.ignore`` is equal to its number here, since they hold the
        same; -1 is no row's.
    both_ways : bool
        Also from right to left.
    """
    x, y = checks.sides(relation, left=left, right=right)
    with torch.autocast(x.device.type, enabled=False):
        forth = between(x, y, relation, world, similarity)
        if negatives is not None:
            more = checks.embeddings("negatives", negatives, len(relation), dims=3)
            if negative_ignore is not None:
                own = None if relation.ignore is None else relation.ignore.shape[1:]
                if own is None or negative_ignore.shape != (*more.shape[:2], *own):
                    raise ValueError(
                        "negative_ignore: expected numbers as in relation.ignore for each of the negatives"
                    )
            forth = _with_negatives(forth, more, negative_ignore, relation, world)
        loss, numbers = softmax_loss(forth, temperature, "out", world)
        if both_ways:
            turned = relation if relation.guide is None else replace(relation, guide=relation.guide.flip(1))
            back, _ = softmax_loss(between(y, x, turned, world, similarity), temperature, "out", world)
            loss = (loss + back) / 2
    return loss, numbers


def _with_negatives(
    pairs: Pairs, negatives: torch.Tensor, ignore: torch.Tensor | None, relation: Relation, world: World
) -> Pairs:  # fmt: skip
    """The pairs with further columns that belong to nobody; they are within what their row is within."""
    more = world.gather(similar.prepared(negatives.flatten(0, 1), pairs.similarity))
    ignored = None if ignore is None else world.gather_int(ignore.reshape(negatives.shape[:2].numel(), -1))

    def longer(ids: torch.Tensor | None, by: torch.Tensor | None = None) -> torch.Tensor | None:
        if ids is None:
            return None
        return torch.cat((ids, ids.new_full((len(more), *ids.shape[1:]), NOBODY) if by is None else by))

    shown = None
    if ignored is not None and ignored.shape[1] == 1 and pairs.column_shown is not None:
        shown = ignored.expand(-1, pairs.column_shown.shape[1])  # of one column, it has the numbers of `ignore`
    within = None
    if relation.within is not None:
        within = world.gather_int(relation.within.repeat_interleave(negatives.shape[1]))
    guide = pairs.column_guide
    if guide is not None:  # hard negatives were chosen as such, and are not guided
        guide = torch.cat((guide, guide.new_full((len(more), guide.shape[1]), torch.nan)))
    return replace(
        pairs, columns=torch.cat((pairs.columns, more)), column_group=longer(pairs.column_group),
        column_ignore=longer(pairs.column_ignore, ignored), column_shown=longer(pairs.column_shown, shown),
        column_within=longer(pairs.column_within, within), column_row=longer(pairs.column_row), column_guide=guide,
    )  # fmt: skip


def info_nce_against(
    queries: torch.Tensor, keys: torch.Tensor, relation: Relation, *, memory_keys: torch.Tensor | None = None,
    memory_groups: torch.Tensor | None = None, temperature: Scalar = 0.2, similarity: str = "cosine",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """InfoNCE of queries against keys of another network (MoCo: He et al. 2020, arXiv 1911.05722).

    ::

        L = mean_i  −log( exp(s(q_i, k_i)/τ) / (exp(s(q_i, k_i)/τ) + Σ_m exp(s(q_i, m)/τ)) )

    where m runs over the memory, or without one over the other keys of the batch; either way without those of i's
    own group, which are neither positive nor negative.

    Needs one column and a twin. Without learning the loss is ln(K + 1).

    Parameters
    ----------
    queries, keys : Tensor (N, D)
        Row i of the keys is the positive of row i of the queries.
    memory_keys : Tensor (K, D), optional
    memory_groups : LongTensor (K,), optional
        Group of each key in memory.
    """
    q, k = checks.sides(relation, queries=queries, keys=keys)
    tau = checks.temperature(temperature)
    if (memory_keys is None) != (memory_groups is None):
        raise ValueError("memory_groups: expected together with memory_keys")
    with torch.autocast(q.device.type, enabled=False):
        if memory_keys is None:
            pairs = between(q, k, relation, world, similarity)
        else:
            memory = similar.prepared(checks.embeddings("memory_keys", memory_keys).to(q.dtype), similarity)
            pairs = Pairs(similar.prepared(q, similarity), memory, relation.group, memory_groups, similarity)
        positive = similar.of_rows(pairs.rows, similar.prepared(k, similarity), similarity)
        negatives = logsumexp(pairs, 1 / tau, "negatives")
        losses = torch.logaddexp(positive / tau, negatives) - positive / tau
        return mean_of_anchors(losses, positive, None, world)
