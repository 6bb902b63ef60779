"""Supervised contrastive loss: several positives per row is the normal case."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from nearfar.objectives import checks
from nearfar.objectives.info import Objective
from nearfar.objectives.relation import Relation
from nearfar.objectives.tiles import Exclusion, logsumexp_cross, logsumexp_self
from nearfar.objectives.world import ONE, World

INFO = Objective(
    function="supcon",
    formula="L_i = log Σ_{a≠i} exp(s_ia/τ) − 1/|P(i)| Σ_{p∈P(i)} s_ip/τ",
    paper="Khosla et al. 2020",
    arxiv="2004.11362",
    takes="views",
    symmetries=("rows", "views", "groups"),
    no_learning=lambda rows, views, _: math.log(rows * views - 1),
)


def supcon(
    views: Sequence[torch.Tensor], relation: Relation, *, temperature: float | torch.Tensor = 0.1,
    variant: str = "out", world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362).

    With anchors i over all V·N embeddings, P(i) the other embeddings of i's group and s the cosine::

        L_out = mean_i  −1/|P(i)| Σ_{p∈P(i)} log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )
        L_in  = mean_i  −log( 1/|P(i)| Σ_{p∈P(i)} exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )

    Parameters
    ----------
    views : sequence of V tensors (N, D)
        Embeddings of the same N rows; need not be normalised.
    relation : Relation
        Group of each row.
    temperature : float or tensor ()
        τ > 0, in units of the cosine; a tensor gets a gradient.
    variant : {"out", "in"}
        Mean over the positives outside (the paper's better one) or inside of the logarithm.
    world : World

    Returns
    -------
    loss : Tensor ()
        Mean over the anchors that have a positive.
    numbers : dict
        ``anchors``: how many there were; ``positive``: their mean cosine with a positive.

    Raises
    ------
    ValueError
        An argument is not of the kind described; no row of the batch has a positive.

    Notes
    -----
    With two views and every row a group of its own this is NT-Xent (SimCLR). Without learning it is ln(V·N − 1).
    The positives' sum is z_i · (Σ of the group − z_i), so memory is O(N·D) however many positives there are.
    """
    xs = checks.same_shapes("views", views, len(relation))
    tau = checks.temperature(temperature)
    if variant not in ("out", "in"):
        raise ValueError(f"variant: expected 'out' or 'in', got {variant!r}")
    with torch.autocast(xs[0].device.type, enabled=False):
        z = F.normalize(torch.cat(xs), dim=1)
        group = relation.group.repeat(len(xs))
        everybody, groups = world.gather(z), world.gather_int(group)
        distinct, member = groups.unique(return_inverse=True)
        mine = member if world.size == 1 else torch.searchsorted(distinct, group)
        counts = torch.bincount(member, minlength=len(distinct))
        positives = counts[mine] - 1
        has = positives > 0
        anchors = world.all_reduce(has.sum())
        if int(anchors) == 0:
            raise ValueError("relation.group: expected a row with a positive, every row is alone in its group")
        # index_add_ of unit rows: sum of each group over all processes
        sums = torch.zeros(len(distinct), z.shape[1], dtype=z.dtype, device=z.device).index_add(0, member, everybody)
        positive = (z * (sums[mine] - z)).sum(1) / positives.clamp(min=1)
        ignored = relation.ignore is not None
        if world.size == 1 and not ignored:
            lse = logsumexp_self(z, 1 / tau)
        else:
            lse = logsumexp_cross(z, everybody, 1 / tau, _exclusion(z, group, groups, relation, len(xs), world))
        if variant == "out":
            per_row = lse - positive / tau
        else:
            seen = Exclusion(own=_own(z, world), row_group=group, column_group=groups, only_group=True)
            numerator = logsumexp_cross(z, everybody, 1 / tau, seen)
            per_row = lse - numerator + positives.clamp(min=1).to(z.dtype).log()
        loss = torch.where(has, per_row, 0.0).sum() * world.size / anchors
    with torch.no_grad():
        mean_positive = world.all_reduce(torch.where(has, positive, 0.0).sum()) / anchors
    return loss, {"anchors": anchors.detach(), "positive": mean_positive}


def _own(z: torch.Tensor, world: World) -> torch.Tensor:
    """Column of each local row among everybody's."""
    counts = world.gather_int(torch.tensor([len(z)], device=z.device))
    return torch.arange(len(z), device=z.device) + counts[: world.rank].sum()


def _exclusion(
    z: torch.Tensor, group: torch.Tensor, groups: torch.Tensor, relation: Relation, views: int, world: World
) -> Exclusion:
    if relation.ignore is None:
        return Exclusion(own=_own(z, world))
    ignore = relation.ignore.repeat(views)
    return Exclusion(_own(z, world), group, groups, ignore, world.gather_int(ignore))
