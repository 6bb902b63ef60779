"""Log-sum-exp of all similarities, exact, in tiles: time of the matrix products, memory of a tile.

Tiles are computed again in the backward pass instead of being kept. Where rows are compared with themselves only
the tiles on and above the diagonal are computed. Similarities of unit vectors are bounded by 1/τ, so one constant
shift keeps the exponentials in range while 2/τ ≤ 80; otherwise every row carries its running maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from nearfar.objectives.kernel.info import Scalar

TILE = 512  # rows and columns of a tile: 1 MiB in float32, which stays in a CPU core's cache
SAFE = 80.0  # exp(−80) is still a normal float32

Mask = Callable[[slice, slice], torch.Tensor | None]  # True where a tile's column is not seen by its row


def slices(x: torch.Tensor, width: int | None = None) -> Iterator[slice]:
    """The rows of `x`, `TILE` at a time; or, of rows with so many numbers each, as many as fill a tile."""
    side = TILE if x.device.type == "cpu" else 8 * TILE  # on a GPU every launch costs
    size = side if width is None else max(1, side**2 // width)
    for start in range(0, len(x), size):
        yield slice(start, min(start + size, len(x)))


def grid(rows: torch.Tensor, columns: torch.Tensor, *, triangle: bool = False) -> Iterator[tuple[slice, slice]]:
    """All tiles; of a `triangle` those on and above the diagonal."""
    return ((a, b) for a in slices(rows) for b in slices(columns) if not triangle or b.start >= a.start)


class Running:
    """Sums, or log-sums-exp with a running maximum, of M rows whose terms come tile by tile."""

    def __init__(self, like: torch.Tensor, *, logarithm: bool) -> None:
        self.total = like.new_zeros(len(like))
        self.peak = like.new_full((len(like),), -torch.inf) if logarithm else None

    def add(self, a: slice, values: torch.Tensor) -> None:
        """Take in terms (A, B) of the rows `a`."""
        if self.peak is None:
            self.total[a] += values.sum(1)
            return
        higher = torch.maximum(self.peak[a], values.amax(1))
        anchor = torch.where(torch.isfinite(higher), higher, 0.0)
        self.total[a] = self.total[a] * torch.exp(self.peak[a] - anchor) + (values - anchor[:, None]).exp_().sum(1)
        self.peak[a] = higher

    def result(self) -> torch.Tensor:
        """The sums, or their logarithms: −inf for a row without terms."""
        if self.peak is None:
            return self.total
        return torch.where(self.total > 0, self.peak + self.total.log(), -torch.inf)


def logsumexp(
    rows: torch.Tensor, columns: torch.Tensor, scale: Scalar, unseen: Mask, *, triangle: bool = False,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """log Σ_j exp(scale · rows_i·columns_j + bias_j) over the columns that row i sees; −inf where it sees none; (M,).

    `triangle`: rows (M, D) and columns (C, D) are the same *unit* vectors, and who sees whom is symmetric.
    """
    scale = scale.to(rows.dtype) if isinstance(scale, torch.Tensor) else rows.new_tensor(scale)
    if triangle and bias is None and 0 <= 2 * scale.item() <= SAFE:
        return _Self.apply(rows, scale, unseen)
    return _Cross.apply(rows, columns, scale, unseen, bias)


class _Self(torch.autograd.Function):
    """Unit rows against themselves, upper triangle, constant shift."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, scale: torch.Tensor, unseen: Mask) -> torch.Tensor:
        s, total = scale.item(), torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for a, b in grid(z, z, triangle=True):
            e = _exponentials(z, a, b, s, unseen)
            total[a] += e.sum(1)
            if a != b:
                total[b] += e.sum(0)
        lse = total.log() + s
        ctx.unseen = unseen
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
        for a, b in grid(z, z, triangle=True):
            w = _exponentials(z, a, b, s, ctx.unseen).mul_(weight[a, None] + weight[None, b])
            if ctx.needs_input_grad[1]:
                share = 0.5 if a == b else 1.0  # a diagonal tile holds every pair twice
                dscale += share * (w * (z[a] @ z[b].T)).sum()
            dz[a].addmm_(w, z[b], alpha=s)
            if a != b:
                dz[b].addmm_(w.T, z[a], alpha=s)
        return dz, dscale if ctx.needs_input_grad[1] else None, None


def _exponentials(z: torch.Tensor, a: slice, b: slice, scale: float, unseen: Mask) -> torch.Tensor:
    e = (z[a] @ z[b].T).sub_(1).mul_(scale).exp_()
    mask = unseen(a, b)
    return e if mask is None else e.masked_fill_(mask, 0)


class _Cross(torch.autograd.Function):
    """Rows against columns, running maximum."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, columns: torch.Tensor, scale: torch.Tensor, unseen: Mask,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        total = Running(rows, logarithm=True)
        for a, b in grid(rows, columns):
            total.add(a, _logits(rows, columns, scale, unseen, bias, a, b))
        lse = total.result()
        ctx.unseen, ctx.bias = unseen, bias
        ctx.save_for_backward(rows, columns, scale, lse)
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, columns, scale, lse = ctx.saved_tensors
        wants_rows, wants_columns, wants_scale, *_ = ctx.needs_input_grad
        drows = torch.zeros_like(rows) if wants_rows else None
        dcolumns = torch.zeros_like(columns) if wants_columns else None
        dscale = torch.zeros_like(scale) if wants_scale else None
        anchor = torch.where(torch.isfinite(lse), lse, 0.0)
        gradient = torch.where(torch.isfinite(lse), gradient, 0.0)
        for a, b in grid(rows, columns):
            w = _logits(rows, columns, scale, ctx.unseen, ctx.bias, a, b)
            w.sub_(anchor[a, None]).exp_().mul_(gradient[a, None])
            if wants_scale:
                dscale += (w * (rows[a] @ columns[b].T)).sum()
            w *= scale
            if wants_rows:
                drows[a].addmm_(w, columns[b])
            if wants_columns:
                dcolumns[b].addmm_(w.T, rows[a])
        return drows, dcolumns, dscale, None, None


def _logits(
    rows: torch.Tensor, columns: torch.Tensor, scale: torch.Tensor, unseen: Mask, bias: torch.Tensor | None,
    a: slice, b: slice,
) -> torch.Tensor:  # fmt: skip
    x = (rows[a] @ columns[b].T).mul_(scale)
    if bias is not None:
        x += bias[None, b]
    mask = unseen(a, b)
    return x if mask is None else x.masked_fill_(mask, -torch.inf)


def group_dot(rows: torch.Tensor, columns: torch.Tensor, mine: torch.Tensor, member: torch.Tensor) -> torch.Tensor:
    """rows_i · Σ of the columns of i's group, shape (M,); some rows at a time, so nothing of size M·D is kept.

    `mine` (M,) and `member` (C,) are the group of each row and column, numbered from 0; every group has a column.
    """
    return _GroupDot.apply(rows, columns, mine, member)


class _GroupDot(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, columns: torch.Tensor, mine: torch.Tensor, member: torch.Tensor
    ) -> torch.Tensor:
        sums = columns.new_zeros(int(member.max()) + 1, columns.shape[1]).index_add_(0, member, columns)
        ctx.save_for_backward(rows, sums, mine, member)
        return torch.cat([(rows[a] * sums[mine[a]]).sum(1) for a in slices(rows)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, sums, mine, member = ctx.saved_tensors
        drows, dcolumns = None, None
        if ctx.needs_input_grad[0]:
            drows = torch.empty_like(rows)
            for a in slices(rows):
                torch.mul(sums[mine[a]], gradient[a, None], out=drows[a])
        if ctx.needs_input_grad[1]:
            dsums = torch.zeros_like(sums)
            for a in slices(rows):
                dsums.index_add_(0, mine[a], rows[a] * gradient[a, None])
            dcolumns = dsums[member]
        return drows, dcolumns, None, None
