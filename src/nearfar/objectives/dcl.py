"""Decoupled contrastive loss: InfoNCE without the positive in the denominator."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, Views, World, checks, mean_of_anchors
from nearfar.objectives.kernel.pairs import among, logsumexp, positives

INFO = Objective(
    function="dcl",
    formula="L_i = log Σ_{n negative} exp(s_in/τ) − w_i s_ip/τ",
    paper="Yeh et al. 2021",
    arxiv="2110.06848",
    takes="views",
    data=("one column", "labels"),
    neighbours="info_nce without the positive in the denominator: small batches learn faster, and there is no minimum.",
    min_rows=2,
    degenerate=lambda rows, views: math.log(views * (rows - 1)),
    no_learning=lambda rows, views, _: math.log(views * (rows - 1)),
)


def dcl(
    views: Views, relation: Relation, *, temperature: Scalar = 0.1, weighted: bool = False, sigma: float = 0.5,
    similarity: str = "cosine", world: World = ONE,
) -> Compared:  # fmt: skip
    """Decoupled contrastive loss, DCL and DCLW (Yeh et al. 2021, arXiv 2110.06848).

    With anchors i over all V·N embeddings, N(i) the embeddings of other groups and s_i the mean similarity of i with
    the other embeddings of its group::

        L = mean_i  −w_i s_i/τ + log Σ_{n∈N(i)} exp(s_in/τ)
        w_i = 1,  or weighted (DCLW):  w_i = 2 − exp(s_i/σ) / mean_k exp(s_k/σ)

    Needs one column and views of it, or labels. Without learning it is ln(V·(N − 1)), of two views ln(2N − 2). It is
    unbounded below: with cosines it can fall to ln(number of negatives) − 2/τ. It is `info_nce` with the positive left
    out of the sum, so its gradient does not fade as the positive is found. The weights are constants in the backward
    pass, as in lightly; the paper does not say. The sum runs over both views inside of one logarithm as in the paper;
    lightly adds two logarithms.

    Parameters
    ----------
    weighted : bool
        DCLW: positives that are far apart weigh more; the weights' mean is 1.
    sigma : float
        σ > 0 of the weights, in units of the similarity; large σ makes them all 1.
    """
    xs = checks.same_shapes("views", views, len(relation))
    tau, sigma = checks.temperature(temperature), checks.above("sigma", sigma)
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world, similarity)
        positive, count = positives(pairs)
        negatives = logsumexp(pairs, 1 / tau, "negatives")
        counted = (count > 0) & torch.isfinite(negatives)
        weight = _weights(positive / sigma, counted, world) if weighted else 1.0
        nobody = "relation.group: expected a row with a positive and a negative, there is none"
        return mean_of_anchors(negatives - weight * positive / tau, positive, counted, world, nobody)


@torch.no_grad()
def _weights(x: torch.Tensor, counted: torch.Tensor, world: World) -> torch.Tensor:
    """2 − exp(x) / mean exp(x) over the anchors of all processes."""
    x = torch.where(counted, x, -torch.inf)
    e = torch.exp(x - world.gather_int(x.max()[None]).max())
    return 2 - e * world.all_reduce(counted.sum()) / world.all_reduce(e.sum())
