"""TNC's loss: steps near each other are positives, far ones are unlabelled, and a few of them count as positives."""

from __future__ import annotations

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from nearfar.objectives.kernel import ONE, Compared, Objective, Views, World, checks
from nearfar.objectives.kernel.info import mean_of_pairs
from nearfar.objectives.kernel.tiles import slices

INFO = Objective(
    function="neighbourhood",
    formula="L = −mean_near log σ(a_t·b_s) − mean_far [ (1 − w) log σ(−a_t·b_s) + w log σ(a_t·b_s) ]",
    paper="Tonekaboni et al. 2021 (TNC)",
    arxiv="2106.00750",
    takes="steps",
    symmetries=("rows", "views"),
    neighbours="hierarchical asks which step it is among all; here each pair of steps is asked alone if it is near.",
)


def neighbourhood(
    views: Views, there: Views, *, near: float = 0.1, weight: float = 0.05, world: World = ONE
) -> Compared:
    """Temporal neighbourhood coding of the states of V ≥ 2 views (Tonekaboni et al. 2021, arXiv 2106.00750).

    With a_t and b_s the states of one series at steps t and s in two views, divided by the fourth root of D, wherever
    each has the step::

        L = −mean_{|t−s| ≤ δ} log σ(a_t·b_s) − mean_{|t−s| > δ} [ (1 − w) log σ(−a_t·b_s) + w log σ(a_t·b_s) ]

    Needs one column whose encoder keeps an axis of time; other series are not compared. Without learning (all states 0)
    it is 2 ln 2. Memory is that of a tile beside the states. Numbers: ``anchors`` (pairs of near steps) and
    ``positive`` (mean σ of them).

    Parameters
    ----------
    there : Views
        V tensors bool (N, T): which steps each view has.
    near : float
        δ as a share of the T steps; at least one step.
    weight : float
        w, the share of far steps that are expected to belong together all the same.
    """
    checks.within("near", near, 0, 1)
    checks.within("weight", weight, 0, 1)
    xs, masks = checks.steps(views, there)
    radius = max(1, round(near * xs[0].shape[1]))
    with torch.autocast(xs[0].device.type, enabled=False):
        xs = [x / math.sqrt(math.sqrt(x.shape[2])) for x in xs]
        pairs = [_of_two(xs[i], xs[j], masks[i], masks[j], radius, weight, world)
                 for i, j in combinations(range(len(xs)), 2)]  # fmt: skip
    return mean_of_pairs(pairs)


def _of_two(
    a: torch.Tensor, b: torch.Tensor, of_a: torch.Tensor, of_b: torch.Tensor, radius: int, weight: float, world: World
) -> Compared:
    totals = a.new_zeros(5)
    for some in slices(a, b.shape[1] ** 2):
        for steps in slices(a[0], b.shape[1]):
            # Tiles are computed again on the way back instead of being kept.
            totals = totals + checkpoint(
                _sums, a[some, steps], b[some], of_a[some, steps], of_b[some], steps.start, radius, weight,
                use_reentrant=False,
            )  # fmt: skip
    near, far, similar, count_near, count_far = totals.unbind()
    with torch.no_grad():
        count_near, count_far, similar = (world.all_reduce(v.detach()) for v in (count_near, count_far, similar))
    if int(count_near) == 0:
        raise ValueError("there: expected steps near each other in two views of a series, no series has any")
    loss = (near / count_near + far / count_far.clamp(min=1)) * world.size
    return loss, {"anchors": count_near, "positive": similar / count_near}


def _sums(
    a: torch.Tensor, b: torch.Tensor, of_a: torch.Tensor, of_b: torch.Tensor, start: int, radius: int, weight: float
) -> torch.Tensor:
    """Sums over near and far pairs of what they cost, of σ over the near ones, and how many of both there are, (5,)."""
    logits = a @ b.transpose(1, 2)
    here, other = start + torch.arange(a.shape[1], device=a.device), torch.arange(b.shape[1], device=a.device)
    close = (here[:, None] - other).abs() <= radius
    both = of_a[:, :, None] & of_b[:, None]
    near, far = both & close, both & ~close
    cost = F.softplus(-logits)  # of a pair that belongs together; softplus(x) = softplus(−x) + x
    sums = (
        torch.where(near, cost, 0).sum(),
        torch.where(far, cost + (1 - weight) * logits, 0).sum(),
        torch.where(near, logits.detach().sigmoid(), 0).sum(),
        near.sum().to(a.dtype),
        far.sum().to(a.dtype),
    )
    return torch.stack(sums)
