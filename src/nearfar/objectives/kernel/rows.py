"""Sums that need a row's similarities with all columns at once, to sort them: a few rows at a time, never all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel import tiles
from nearfar.objectives.kernel.pairs import Pairs

Term = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def sum_of_rows(pairs: Pairs, term: Term) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ over the rows of a number that depends on a row's similarities with all columns; exact, with gradients.

    As nothing but the scale of that sum's gradient is unknown before the backward pass, the gradient is made on the
    way: each block of at most ``tiles.TILE`` ² similarities (or one row) is computed once, and not kept.

    Parameters
    ----------
    pairs : Pairs
    term : callable
        ``term(similarity, positive, negative)``, each (B, C), with the masks of `Pairs`, gives numbers (B,), their
        derivative by the similarities (B, C), and whole numbers (B,) that are only counted.

    Returns
    -------
    total : Tensor ()
    counted : LongTensor ()
    """
    return _SumOfRows.apply(pairs, term, torch.is_grad_enabled(), pairs.rows, pairs.columns)


def _blocks(pairs: Pairs) -> Iterator[slice]:
    side = tiles.TILE if pairs.rows.device.type == "cpu" else 8 * tiles.TILE
    step = max(1, side**2 // len(pairs.columns))
    for start in range(0, len(pairs.rows), step):
        yield slice(start, min(start + step, len(pairs.rows)))


class _SumOfRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, term: Term, wanted: bool, rows: torch.Tensor, columns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = wanted and any(ctx.needs_input_grad)
        values = rows.new_zeros(len(rows))
        counted = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        slopes = [torch.zeros_like(x) for x in (rows, columns)] if wanted else []
        everything = slice(0, len(columns))
        for a in _blocks(pairs):
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
