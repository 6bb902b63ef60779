"""TS2Vec's hierarchical loss: every step knows its series among others, and its time among other times."""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from nearfar.objectives.kernel import ONE, Compared, Objective, Views, World, checks
from nearfar.objectives.kernel.info import mean_of_pairs
from nearfar.objectives.kernel.pairs import offset
from nearfar.objectives.kernel.tiles import slices

INFO = Objective(
    function="hierarchical",
    formula="L = 1/K Σ_k α·L_instance(z_k) + (1 − α)·L_temporal(z_k),  z_0 the states, z_(k+1) maxima of two of z_k",
    paper="Yue et al. 2022 (TS2Vec)",
    arxiv="2106.10466",
    takes="steps",
    symmetries=("rows", "views"),
    neighbours="info_nce compares whole rows once; here every step is compared, and every pooled one, level by level.",
)


def hierarchical(
    views: Views, there: Views, *, instance: float = 0.5, longest: int = 256, world: World = ONE
) -> Compared:
    """Hierarchical contrast of the states of V ≥ 2 views (Yue et al. 2022, arXiv 2106.10466), with dot products.

    With a_it and b_it the states of series i at step t in two views, wherever both have the step::

        L_instance = mean_it −log( exp(a_it·b_it) / Σ_j (exp(a_it·b_jt) + [j≠i] exp(a_it·a_jt)) )
        L_temporal = mean_it −log( exp(a_it·b_it) / Σ_s (exp(a_it·b_is) + [s≠t] exp(a_it·a_is)) )

    and the same from b to a. Then pairs of neighbouring steps become their maximum, and so on until one step is left,
    which has no other time: of it L_instance counts alone. L is the mean over the levels.

    Needs one column whose encoder keeps an axis of time. Without learning (all states equal) the terms of a level of T
    steps are ln(2N − 1) and ln(2T − 1). Memory is O(N·T·D), time O(T·N²·D) and,
    up to `longest` steps, O(N·T²·D). Numbers: ``anchors``
    (series that are compared) and ``positive`` (mean dot product of a step in two views).

    Parameters
    ----------
    there : Views
        V tensors bool (N, T): which steps each view has.
    instance : float
        α in [0, 1].
    longest : int
        Steps of the first level at most; states of longer series are pooled first, which the paper does not do.
    """
    checks.within("instance", instance, 0, 1)
    xs, masks = checks.steps(views, there)
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = [_levels(xs[i], xs[j], masks[i] & masks[j], instance, longest, world)
                 for i, j in combinations(range(len(xs)), 2)]  # fmt: skip
    return mean_of_pairs(pairs)


def _levels(
    a: torch.Tensor, b: torch.Tensor, both: torch.Tensor, instance: float, longest: int, world: World
) -> Compared:
    count = world.all_reduce(both.any(1).sum())
    if int(count) == 0:
        raise ValueError("there: expected a step that two views of a series both have, no series has one")
    while a.shape[1] > longest:
        a, b, both = _pooled(a, b, both)
    positive = _mean((a.detach() * b.detach()).sum(2), both, world) / world.size
    terms = []
    while True:
        among_rows = _contrast(a.transpose(0, 1), b.transpose(0, 1), both.T, world, rows_are_shared=True)
        if a.shape[1] == 1:
            terms.append(instance * among_rows)
            break
        terms.append(instance * among_rows + (1 - instance) * _contrast(a, b, both, world, rows_are_shared=False))
        a, b, both = _pooled(a, b, both)
    positive = world.all_reduce(positive)
    return torch.stack(terms).mean(), {"anchors": count.float(), "positive": positive}


def _contrast(
    a: torch.Tensor, b: torch.Tensor, there: torch.Tensor, world: World, *, rows_are_shared: bool
) -> torch.Tensor:
    """Mean over the items (P, M, D) that are `there` (P, M) of −log of the share of their other view, place by place.

    Where the rows are shared, M runs over this process's series and they are compared with those of all.
    """
    own, others, known, start = torch.cat([a, b], 1), None, there, 0
    if rows_are_shared and world.size > 1:
        all_ = [world.gather(x.transpose(0, 1).contiguous()).transpose(0, 1) for x in (a, b)]
        others, known = torch.cat(all_, 1), world.gather_int(there.T.contiguous()).T
        start = offset(a.shape[1], world, a.device)
    others = own if others is None else others
    m, total = a.shape[1], known.shape[1]
    place = start + torch.arange(m, device=a.device)
    itself = torch.cat([place, place + total])
    counted = (there & (known.sum(1, keepdim=True) > 1)).repeat(1, 2)  # one alone has nothing to be told from
    unseen, rows = ~known.repeat(1, 2), []
    for some in slices(own, 4 * m * total):
        # Tiles are computed again on the way back instead of being kept.
        pieces = [
            checkpoint(_log_sums, own[some, items], others[some], unseen[some], itself[items], use_reentrant=False)
            for items in slices(itself, 2 * total)
        ]
        rows.append(torch.cat(pieces, 1))
    positive = (a * b).sum(2).repeat(1, 2)
    return _mean(torch.cat(rows) - positive, counted, world)


def _log_sums(own: torch.Tensor, others: torch.Tensor, unseen: torch.Tensor, itself: torch.Tensor) -> torch.Tensor:
    """Log-sum-exp (P, A) of products of items (P, A, D) with others (P, B, D): not with itself, nor the unseen."""
    logits = own @ others.transpose(1, 2)
    here = torch.arange(others.shape[1], device=own.device)
    hidden = unseen[:, None] | (here == itself[:, None])
    # A place without anything to see would give −inf, and NaN on the way back; it does not count.
    hidden = hidden & ~hidden.all(2, keepdim=True)
    return logits.masked_fill(hidden, -torch.inf).logsumexp(2)


def _mean(values: torch.Tensor, counted: torch.Tensor, world: World) -> torch.Tensor:
    """Mean of those that count over all processes, as each of them returns its loss; 0 where none does."""
    count = world.all_reduce(counted.sum())
    return torch.where(counted, values, 0).sum() * world.size / count.clamp(min=1)


def _pooled(a: torch.Tensor, b: torch.Tensor, both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The maxima of two neighbouring steps each, of those that are there; a last one without neighbour stays."""
    odd = a.shape[1] % 2
    both_ = F.pad(both, (0, odd)).unflatten(1, (-1, 2))
    out = []
    for x in (a, b):
        x = F.pad(x, (0, 0, 0, odd)).unflatten(1, (-1, 2))
        x = x.masked_fill(~both_[..., None], -torch.inf).amax(2)
        out.append(torch.where(both_.any(2)[..., None], x, 0))
    return out[0], out[1], both_.any(2)
