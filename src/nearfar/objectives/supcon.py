"""Supervised contrastive loss: several positives per row is the normal case."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, Views, World, checks, mean_of_anchors
from nearfar.objectives.kernel.pairs import Pairs, among, logsumexp, positives

INFO = Objective(
    function="supcon",
    formula="L_i = log Σ_{a≠i} exp(s_ia/τ) − 1/|P(i)| Σ_{p∈P(i)} s_ip/τ",
    paper="Khosla et al. 2020",
    arxiv="2004.11362",
    takes="views",
    data=("labels", "one column"),
    neighbours="With two views and a group for every row this is NT-Xent (info_nce).",
    degenerate=lambda rows, views: math.log(rows * views - 1),
    no_learning=lambda rows, views, _: math.log(rows * views - 1),
)


def supcon(
    views: Views, relation: Relation, *, temperature: Scalar = 0.1, variant: str = "out", similarity: str = "cosine",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362).

    With anchors i over all V·N embeddings, P(i) the other embeddings of i's group and s the similarity::

        L_out = mean_i  −1/|P(i)| Σ_{p∈P(i)} log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )
        L_in  = mean_i  −log( 1/|P(i)| Σ_{p∈P(i)} exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )

    Needs labels, or views. With two views and every row a group of its own this is NT-Xent (SimCLR). Without
    learning it is ln(V·N − 1).

    Parameters
    ----------
    variant : {"out", "in"}
        Mean over the positives outside (the paper's better one) or inside of the logarithm.
    """
    xs = checks.same_shapes("views", views, len(relation))
    with torch.autocast(xs[0].device.type, enabled=False):
        return softmax_loss(among(xs, relation, world, similarity), temperature, variant, world)


def softmax_loss(pairs: Pairs, temperature: Scalar, variant: str, world: World) -> Compared:
    """Cross entropy of each row's positives among its columns: what SupCon, NT-Xent and CLIP's loss have in common."""
    tau = checks.temperature(temperature)
    checks.choice("variant", variant, ("out", "in"))
    positive, count = positives(pairs)
    everything = logsumexp(pairs, 1 / tau, "others")
    if variant == "out":
        losses = everything - positive / tau
    else:
        losses = everything - logsumexp(pairs, 1 / tau, "positives") + count.clamp(min=1).to(everything.dtype).log()
    return mean_of_anchors(losses, positive, count > 0, world)
