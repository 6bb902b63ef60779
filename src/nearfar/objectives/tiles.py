"""Log-sum-exp of all similarities, exact, in tiles: time of the matrix products, memory of a tile.

Tiles are computed again in the backward pass instead of being kept. Where rows are compared with themselves only
the tiles on and above the diagonal are computed. Similarities of unit vectors are bounded by 1/τ, so one constant
shift keeps the exponentials in range while 2/τ ≤ 80; otherwise every row carries its running maximum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd.function import once_differentiable

TILE = 512  # rows and columns of a tile: 1 MiB in float32, which stays in a CPU core's cache
SAFE = 80.0  # exp(−80) is still a normal float32


@dataclass(frozen=True)
class Exclusion:
    """Which columns a row does not see.

    Parameters
    ----------
    own : LongTensor (M,), optional
        Column that is the row itself.
    row_group, column_group : LongTensor, optional
        With `same_group`: columns of the row's own group are left out.
    row_ignore, column_ignore : LongTensor, optional
        Columns of the row's own `ignore` and another group are left out.
    same_group : bool
    only_group : bool
        The opposite: only columns of the row's own group are seen.
    """

    own: torch.Tensor | None = None
    row_group: torch.Tensor | None = None
    column_group: torch.Tensor | None = None
    row_ignore: torch.Tensor | None = None
    column_ignore: torch.Tensor | None = None
    same_group: bool = False
    only_group: bool = False

    def mask(self, rows: slice, columns: slice) -> torch.Tensor | None:
        """True where a tile's column is not seen by its row."""
        mask = None
        if self.same_group or self.only_group or self.row_ignore is not None:
            same = self.row_group[rows, None] == self.column_group[None, columns]
        if self.same_group:
            mask = same
        if self.only_group:
            mask = ~same
        if self.row_ignore is not None:
            ignored = (self.row_ignore[rows, None] == self.column_ignore[None, columns]) & ~same
            mask = ignored if mask is None else mask | ignored
        if self.own is not None:
            place = self.own[rows] - columns.start
            inside = (place >= 0) & (place < columns.stop - columns.start)
            if mask is None and not bool(inside.any()):
                return None
            if mask is None:
                shape = (rows.stop - rows.start, columns.stop - columns.start)
                mask = torch.zeros(shape, dtype=torch.bool, device=place.device)
            mask[inside.nonzero()[:, 0], place[inside]] = True
        return mask


def logsumexp_self(z: torch.Tensor, scale: float | torch.Tensor, exclusion: Exclusion | None = None) -> torch.Tensor:
    """log Σ_{j ≠ i} exp(scale · z_i·z_j) for unit rows z (M, D); −inf where a row sees none; shape (M,).

    What `exclusion` leaves out must be symmetric, as groups are. A row never sees itself.
    """
    exclusion = exclusion or Exclusion()
    if float(torch.as_tensor(scale).detach()) * 2 > SAFE:
        own = torch.arange(len(z), device=z.device)
        return logsumexp_cross(z, z, scale, replace(exclusion, own=own))
    return _Self.apply(z, _as_tensor(scale, z), exclusion)


def logsumexp_cross(
    rows: torch.Tensor, columns: torch.Tensor, scale: float | torch.Tensor, exclusion: Exclusion | None = None
) -> torch.Tensor:
    """log Σ_j exp(scale · rows_i·columns_j) over the columns that row i sees; −inf where it sees none; shape (M,)."""
    return _Cross.apply(rows, columns, _as_tensor(scale, rows), exclusion or Exclusion())


def _as_tensor(scale: float | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return scale.to(like.dtype) if isinstance(scale, torch.Tensor) else like.new_tensor(scale)


def slices(x: torch.Tensor) -> Iterator[slice]:
    """The rows of `x`, a tile's worth at a time; larger tiles on a GPU, where every launch costs."""
    size = TILE if x.device.type == "cpu" else 8 * TILE
    for start in range(0, len(x), size):
        yield slice(start, min(start + size, len(x)))


def triangle(x: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """The tiles on and above the diagonal of rows against themselves."""
    return ((a, b) for a in slices(x) for b in slices(x) if b.start >= a.start)


class _Self(torch.autograd.Function):
    """Rows against themselves, upper triangle, constant shift."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, scale: torch.Tensor, exclusion: Exclusion) -> torch.Tensor:
        s, total = scale.item(), torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for a, b in triangle(z):
            e = _exponentials(z, a, b, s, exclusion)
            total[a] += e.sum(1)
            if a != b:
                total[b] += e.sum(0)
        lse = total.log() + s
        ctx.exclusion = exclusion
        ctx.save_for_backward(z, scale, lse)
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        z, scale, lse = ctx.saved_tensors
        s = scale.item()
        weight = gradient * torch.exp(s - lse)  # per row: upstream gradient / sum of shifted exponentials
        weight = torch.where(torch.isfinite(weight), weight, 0.0)
        dz, dscale = torch.zeros_like(z), torch.zeros_like(scale)
        for a, b in triangle(z):
            w = _exponentials(z, a, b, s, ctx.exclusion).mul_(weight[a, None] + weight[None, b])
            if ctx.needs_input_grad[1]:
                share = 0.5 if a == b else 1.0  # a diagonal tile holds every pair twice
                dscale += share * (w * (z[a] @ z[b].T)).sum()
            dz[a].addmm_(w, z[b], alpha=s)
            if a != b:
                dz[b].addmm_(w.T, z[a], alpha=s)
        return dz, dscale if ctx.needs_input_grad[1] else None, None


def _exponentials(z: torch.Tensor, a: slice, b: slice, scale: float, exclusion: Exclusion) -> torch.Tensor:
    e = (z[a] @ z[b].T).sub_(1).mul_(scale).exp_()
    if (mask := exclusion.mask(a, b)) is not None:
        e.masked_fill_(mask, 0)
    return e.fill_diagonal_(0) if a == b else e


class _Cross(torch.autograd.Function):
    """Rows against columns, running maximum."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, columns: torch.Tensor, scale: torch.Tensor, exclusion: Exclusion
    ) -> torch.Tensor:
        lse = torch.empty(len(rows), dtype=rows.dtype, device=rows.device)
        for a in slices(rows):
            peak = torch.full((a.stop - a.start,), -torch.inf, dtype=rows.dtype, device=rows.device)
            total = torch.zeros_like(peak)
            for b in slices(columns):
                x = _logits(rows, columns, scale, exclusion, a, b)
                higher = torch.maximum(peak, x.amax(1))
                anchor = torch.where(torch.isfinite(higher), higher, 0.0)
                total = total * torch.exp(peak - anchor) + (x - anchor[:, None]).exp_().sum(1)
                peak = higher
            lse[a] = torch.where(total > 0, peak + total.log(), -torch.inf)
        ctx.exclusion = exclusion
        ctx.save_for_backward(rows, columns, scale, lse)
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, columns, scale, lse = ctx.saved_tensors
        wants_rows, wants_columns, wants_scale, _ = ctx.needs_input_grad
        drows = torch.zeros_like(rows) if wants_rows else None
        dcolumns = torch.zeros_like(columns) if wants_columns else None
        dscale = torch.zeros_like(scale) if wants_scale else None
        anchor = torch.where(torch.isfinite(lse), lse, 0.0)
        gradient = torch.where(torch.isfinite(lse), gradient, 0.0)
        for a in slices(rows):
            for b in slices(columns):
                x = _logits(rows, columns, scale, ctx.exclusion, a, b)
                w = (x - anchor[a, None]).exp_().mul_(gradient[a, None])
                if wants_scale:
                    dscale += (w * (rows[a] @ columns[b].T)).sum()
                w *= scale
                if wants_rows:
                    drows[a].addmm_(w, columns[b])
                if wants_columns:
                    dcolumns[b].addmm_(w.T, rows[a])
        return drows, dcolumns, dscale, None


def _logits(
    rows: torch.Tensor, columns: torch.Tensor, scale: torch.Tensor, exclusion: Exclusion, a: slice, b: slice
) -> torch.Tensor:
    x = (rows[a] @ columns[b].T).mul_(scale)
    mask = exclusion.mask(a, b)
    return x if mask is None else x.masked_fill_(mask, -torch.inf)
