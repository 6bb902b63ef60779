"""Supervised contrastive loss: several positives per row is the normal case."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from nearfar.objectives.kernel import checks
from nearfar.objectives.kernel.info import Objective
from nearfar.objectives.kernel.pairs import Pairs, among, logsumexp, positives
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World, average, mean

INFO = Objective(
    function="supcon",
    formula="L_i = log Σ_{a≠i} exp(s_ia/τ) − 1/|P(i)| Σ_{p∈P(i)} s_ip/τ",
    paper="Khosla et al. 2020",
    arxiv="2004.11362",
    takes="views",
    symmetries=("rows", "views", "groups"),
    data=("labels", "one column"),
    neighbours="With two views and a group for every row this is NT-Xent (info_nce).",
    degenerate=lambda rows, views: math.log(rows * views - 1),
    no_learning=lambda rows, views, _: math.log(rows * views - 1),
)


def supcon(
    views: Sequence[torch.Tensor], relation: Relation, *, temperature: float | torch.Tensor = 0.1,
    variant: str = "out", similarity: str = "cosine", world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362).

    With anchors i over all V·N embeddings, P(i) the other embeddings of i's group and s the similarity::

        L_out = mean_i  −1/|P(i)| Σ_{p∈P(i)} log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )
        L_in  = mean_i  −log( 1/|P(i)| Σ_{p∈P(i)} exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )

    Parameters
    ----------
    views : sequence of V tensors (N, D)
        Embeddings of the same N rows; need not be normalised.
    relation : Relation
        Group of each row.
    temperature : float or tensor ()
        τ > 0, in units of the similarity; a tensor gets a gradient.
    variant : {"out", "in"}
        Mean over the positives outside (the paper's better one) or inside of the logarithm.
    similarity : {"cosine", "dot", "euclidean", "squared_euclidean"}
        Distances count negatively.
    world : World

    Returns
    -------
    loss : Tensor ()
        Mean over the anchors that have a positive.
    numbers : dict
        ``anchors``: how many there were; ``positive``: their mean similarity with a positive.

    Raises
    ------
    ValueError
        An argument is not of the kind described; no row of the batch has a positive.

    Notes
    -----
    Needs labels, or views. With two views and every row a group of its own this is NT-Xent (SimCLR). Without
    learning it is ln(V·N − 1). The positives' sum is z_i · (Σ of the group − z_i), so memory is O(N·D) however many
    positives there are.
    """
    xs = checks.same_shapes("views", views, len(relation))
    with torch.autocast(xs[0].device.type, enabled=False):
        return softmax_loss(among(xs, relation, world, similarity), temperature, variant, world)


def softmax_loss(
    pairs: Pairs, temperature: float | torch.Tensor, variant: str, world: World
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Cross entropy of each row's positives among its columns: what SupCon, NT-Xent and CLIP's loss have in common."""
    tau = checks.temperature(temperature)
    checks.choice("variant", variant, ("out", "in"))
    positive, count = positives(pairs)
    has = count > 0
    everything = logsumexp(pairs, 1 / tau, "others")
    if variant == "out":
        losses = everything - positive / tau
    else:
        losses = everything - logsumexp(pairs, 1 / tau, "positives") + count.clamp(min=1).to(everything.dtype).log()
    nobody = "relation.group: expected a row with a positive, every row is alone in its group"
    loss, anchors = mean(losses, has, world, nobody)
    return loss, {"anchors": anchors.detach(), "positive": average(positive, has, anchors, world)}
