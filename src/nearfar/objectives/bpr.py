"""Bayesian personalised ranking: what a user took before what the user did not."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, World, average, checks, mean, similar

INFO = Objective(
    function="bpr",
    formula="L_ik = −log σ(s(u_i, p_i) − s(u_i, n_ik))",
    paper="Rendle et al. 2009",
    arxiv="1205.2618",
    takes="triplets",
    symmetries=("rows",),
    data=("triplets", "pairs"),
    neighbours="triplet_given of dot products with a soft margin; info_nce_between has all negatives in one sum.",
    degenerate=lambda rows, views: math.log(2),
    no_learning=lambda rows, views, _: math.log(2),
)


def bpr(
    anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, *, similarity: str = "dot",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Bayesian personalised ranking (Rendle et al. 2009, arXiv 1205.2618).

    Of users (anchors), an item that each of them took, and K items that they did not, with s the similarity::

        L = mean_ik  −log σ( s(anchor_i, positive_i) − s(anchor_i, negative_ik) )

    Needs triplets, or pairs and sampled negatives (the paper draws them uniformly from what the user did not take).
    The paper's models give dot products. Without learning it is ln 2. The paper sums over all triplets, which is N·K
    times this mean, and adds λ|Θ|²: give the optimiser a weight decay. Numbers: ``anchors``, ``positive`` and
    ``ordered``, the share of the N·K comparisons that are in order (the paper's AUC, on this batch).
    """
    u, p, n = checks.triplets(anchor, positive, negative)
    with torch.autocast(u.device.type, enabled=False):
        u, p, n = (similar.prepared(x, similarity) for x in (u, p, n))
        s = similar.of_rows(u, p, similarity)
        ahead = s[:, None] - similar.of_rows(u[:, None], n, similarity)
        loss, comparisons = mean(-F.logsigmoid(ahead), None, world)
        anchors = comparisons // n.shape[1]
        ordered = average((ahead > 0).to(s.dtype), None, comparisons, world)
    return loss, {"anchors": anchors, "positive": average(s, None, anchors, world), "ordered": ordered}
