"""The triplets of a batch: the sum of their losses, and how many of them have one. What `triplet` chooses from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel import tiles
from nearfar.objectives.kernel.pairs import Pairs, hardest

MOST = 10**9  # triplets that are gone through one by one: some ten seconds on a CPU core

Counted = tuple[torch.Tensor, torch.Tensor]  # a sum of losses, and how many are above 0
Term = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def counted(losses: torch.Tensor, triplets: torch.Tensor, margin: float | None) -> torch.Tensor:
    """Which triplets have a loss above 0: with a soft margin all, however small theirs is in 32 bits."""
    return triplets if margin is None else losses > 0


def loss_of(excess: torch.Tensor, margin: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of d_ap − d_an, element by element, and its derivative."""
    if margin is None:
        return -F.logsigmoid(-excess), torch.sigmoid(excess)
    return F.relu(excess + margin), (excess + margin > 0).to(excess.dtype)


def hard(pairs: Pairs, counts: torch.Tensor, margin: float | None) -> Counted:
    """Farthest positive and nearest negative of the rows that count."""
    chosen = hardest(pairs, "positives", nearest=False), hardest(pairs, "negatives", nearest=True)
    # Only the chosen pairs get a gradient, so only they are computed with one.
    s_ap, s_an = (similar.of_rows(pairs.rows, pairs.columns[i.clamp(min=0)], pairs.similarity) for i in chosen)
    losses = torch.where(counts, loss_of(s_an - s_ap, margin)[0], 0.0)
    return losses.sum(), counted(losses, counts, margin).sum()


def semi_hard(pairs: Pairs, margin: float | None) -> Counted:
    """Each positive with the nearest negative that is farther, or with the farthest of all where none is."""
    return sum_of_rows(pairs, partial(_semi_hard, margin=margin))


def every(pairs: Pairs, margin: float | None, total: int) -> Counted:
    """Every positive with every negative, `total` of them over all processes."""
    if margin is not None:
        return sum_of_rows(pairs, partial(_all_with_margin, margin=margin))
    if total > MOST:
        raise ValueError(
            f"margin: expected a number for all {total:,} triplets of this batch (its time is N² log N), got None: the "
            f"soft margin goes through them one by one and takes at most {MOST:,}; mining 'hard' and 'semi-hard' have "
            "no such limit"
        )
    return sum_of_rows(pairs, _all_with_soft_margin)


# --- terms of `sum_of_rows`: losses, their derivative by the similarities, how many are above 0 -------------------


def _listed(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns (B, P) that are set in each row of a mask (B, C), filled up with 0, and which of them are no filling."""
    count = mask.sum(1, keepdim=True)
    row, column = mask.nonzero(as_tuple=True)
    rank = torch.arange(len(row), device=mask.device) - (count.cumsum(0) - count)[row, 0]
    place = column.new_zeros(len(mask), int(count.max()))
    place[row, rank] = column
    return place, torch.arange(place.shape[1], device=mask.device) < count


def _sorted(d: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances of the negatives, nearest first and then infinite, and their columns; each (B, C)."""
    return d.masked_fill(~negative, torch.inf).sort(1)


def _semi_hard(s: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, margin: float | None) -> Term:
    near, column = _sorted(-s, negative)
    mine, there = _listed(positive)
    d = -s.gather(1, mine)
    last = negative.sum(1, keepdim=True) - 1
    farther = torch.minimum(torch.searchsorted(near, d, right=True), last.clamp(min=0))
    triplets = there & (last >= 0)
    excess = torch.where(triplets, d - near.gather(1, farther), -torch.inf)
    losses, rise = loss_of(excess, margin)
    slope = torch.zeros_like(s).scatter_add_(1, mine, -rise).scatter_add_(1, column.gather(1, farther), rise)
    return losses.sum(1), slope, counted(losses, triplets, margin).sum(1)


def _all_with_margin(s: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, margin: float) -> Term:
    """Σ max(0, d_p + m − d_n) = Σ_p k_p (d_p + m) − Σ_n c_n d_n: k and c say in how many active triplets each is."""
    near, column = _sorted(-s, negative)
    mine, there = _listed(positive)
    k = torch.searchsorted(near, margin - s.gather(1, mine)).masked_fill(~there, 0)  # those are the k nearest negatives
    met = s.new_zeros(len(s), s.shape[1] + 1).scatter_add_(1, k, there.to(s.dtype)).cumsum(1)
    c = met[:, -1:] - met[:, :-1]  # of the negative at place j: positives with k > j
    slope = torch.zeros_like(s).scatter_(1, column, c).scatter_add_(1, mine, -k.to(s.dtype))
    # Σ k = Σ c, so any number may be taken from the similarities first: their mean keeps the sums small
    losses = (slope * (s - s.mean(1, keepdim=True))).sum(1) + margin * k.sum(1).to(s.dtype)
    return losses.clamp(min=0), slope, k.sum(1)


def _all_with_soft_margin(s: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> Term:
    place, there = _listed(positive)
    losses, slope = torch.zeros_like(s[:, 0]), torch.zeros_like(s)
    for r in range(place.shape[1]):
        mine = place[:, r : r + 1]
        excess = (s - s.gather(1, mine)).masked_fill(~(negative & there[:, r : r + 1]), -torch.inf)
        each, rise = loss_of(excess, None)
        losses += each.sum(1)
        slope.add_(rise).scatter_add_(1, mine, -rise.sum(1, keepdim=True))
    return losses, slope, positive.sum(1) * negative.sum(1)


# --- sums that need a row's similarities with all columns at once, to sort them ----------------------------------


def sum_of_rows(pairs: Pairs, term: Callable[..., Term]) -> Counted:
    """Σ over the rows of a number that depends on a row's similarities with all columns; exact, with gradients; ().

    ``term(similarity, positive, negative)``, each (B, C), with the masks of `Pairs`, gives numbers (B,), their
    derivative by the similarities (B, C), and whole numbers (B,) that are only counted, the second result.
    """
    return _SumOfRows.apply(pairs, term, torch.is_grad_enabled(), pairs.rows, pairs.columns)


class _SumOfRows(torch.autograd.Function):
    """Of the gradient only its scale is unknown before the backward pass, so it is made on the way: a block of rows
    with at most a tile's similarities is computed once, and not kept.
    """

    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, term: Callable[..., Term], wanted: bool, rows: torch.Tensor, columns: torch.Tensor
    ) -> Counted:
        wanted = wanted and any(ctx.needs_input_grad)
        values = rows.new_zeros(len(rows))
        counted = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        slopes = [torch.zeros_like(x) for x in (rows, columns)] if wanted else []
        everything = slice(0, len(columns))
        for a in tiles.slices(rows, len(columns)):
            with torch.set_grad_enabled(wanted):
                x, y = (t.detach().requires_grad_(wanted) for t in (rows[a], columns))
                s = similar.of_tile(x, y, pairs.similarity)
            masks = pairs.positive(a, everything), pairs.negative(a, everything)
            values[a], slope, counted[a] = term(s.detach(), *masks)
            if wanted:
                dx, dy = torch.autograd.grad(s, (x, y), slope)
                slopes[0][a] = dx
                slopes[1] += dy
        ctx.save_for_backward(*slopes)
        total, counted = values.sum(), counted.sum()
        ctx.mark_non_differentiable(counted)
        return total, counted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, None, None, *(gradient * slope for slope in ctx.saved_tensors)
