"""All pairs of a batch, a tile at a time: who is what to whom, and sums over them that never hold N × N numbers.

`Pairs` is this process's rows against everybody's columns. `logsumexp`, `reduce` and `positives` sum over them in
tiles, which are computed again in the backward pass instead of being kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel import tiles
from nearfar.objectives.kernel.info import Scalar, Views
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World


@dataclass(frozen=True)
class Pairs:
    """M rows of this process against C columns of all."""

    rows: torch.Tensor  # (M, D), prepared for the similarity (of unit length for the cosine)
    columns: torch.Tensor  # (C, D), likewise
    row_group: torch.Tensor  # (M,)
    column_group: torch.Tensor  # (C,)
    similarity: str = "cosine"
    own: torch.Tensor | None = None  # (M,), the column that is the row itself
    row_ignore: torch.Tensor | None = None  # (M, K) and (C, K): this and what follows as in `Relation`
    column_ignore: torch.Tensor | None = None
    column_row: torch.Tensor | None = None  # (C,), the row of the global batch that a column comes from, for the lists
    positive_rows: torch.Tensor | None = None  # (M, K)
    negative_rows: torch.Tensor | None = None  # (M, K)
    row_shown: torch.Tensor | None = None  # (M, V) and (C, V)
    column_shown: torch.Tensor | None = None
    row_within: torch.Tensor | None = None  # (M,) and (C,)
    column_within: torch.Tensor | None = None
    row_guide: torch.Tensor | None = None  # (M, G), vectors of another model
    column_guide: torch.Tensor | None = None  # (C, G); not a number where it has none, which no row takes for too near
    row_least: torch.Tensor | None = None  # (M,), above this similarity by the guide a column is no negative

    @property
    def symmetric(self) -> bool:
        """Whether pair (i, j) is what (j, i) is, so that the upper triangle says all."""
        lists = (self.positive_rows, self.negative_rows, self.row_guide)
        return self.rows is self.columns and all(x is None for x in lists)

    @property
    def plain(self) -> bool:
        """Whether positives are those of the group and all others are negatives."""
        lists = self.positive_rows, self.negative_rows, self.row_guide
        numbers = self.row_ignore, self.row_shown, self.row_within
        return all(x is None for x in (*lists, *numbers))

    def itself(self, a: slice, b: slice) -> torch.Tensor | None:
        """Mask (A, B) of the pairs that are one embedding; None where a tile has none."""
        if self.own is None:
            return None
        place = self.own[a] - b.start
        inside = ((place >= 0) & (place < b.stop - b.start)).nonzero()[:, 0]
        if len(inside) == 0:
            return None
        mask = torch.zeros(a.stop - a.start, b.stop - b.start, dtype=torch.bool, device=place.device)
        mask[inside, place[inside]] = True
        return mask

    def _related(self, a: slice, b: slice) -> torch.Tensor:
        """Mask (A, B) of what is of one group or listed as positive, an embedding with itself among it."""
        mask = self.row_group[a, None] == self.column_group[None, b]
        return mask if self.positive_rows is None else mask | self._listed(self.positive_rows, a, b)

    def _listed(self, lists: torch.Tensor, a: slice, b: slice) -> torch.Tensor:
        mask = lists[a, :1] == self.column_row[None, b]
        for k in range(1, lists.shape[1]):  # one at a time: (A, B, K) numbers are many
            mask |= lists[a, k : k + 1] == self.column_row[None, b]
        return mask

    def positive(self, a: slice, b: slice) -> torch.Tensor:
        """Mask (A, B) of positives: one group or listed, and not the same embedding."""
        mask, itself = self._related(a, b), self.itself(a, b)
        return mask if itself is None else mask & ~itself

    def negative(self, a: slice, b: slice) -> torch.Tensor:
        """Mask (A, B) of negatives: neither positive nor ignored; only those listed where negatives are listed."""
        mask = ~self._related(a, b)
        if self.row_ignore is not None:
            for k in range(self.row_ignore.shape[1]):
                mask &= self.row_ignore[a, None, k] != self.column_ignore[None, b, k]
        if self.row_within is not None:
            mask &= self.row_within[a, None] == self.column_within[None, b]
        if self.row_shown is not None:
            for mine in self.row_shown[a].unbind(1):
                for theirs in self.column_shown[b].unbind(1):
                    mask &= mine[:, None] != theirs
        if self.row_guide is not None:
            mask &= ~(self.row_guide[a] @ self.column_guide[b].T > self.row_least[a, None])
        return mask if self.negative_rows is None else mask & self._listed(self.negative_rows, a, b)

    def unseen(self, over: str, a: slice, b: slice) -> torch.Tensor | None:
        """Mask (A, B) of what is left out of a sum over ``"others"``, ``"positives"`` or ``"negatives"``."""
        if over == "others":
            return self.itself(a, b) if self.plain else ~(self.positive(a, b) | self.negative(a, b))
        return ~(self.positive(a, b) if over == "positives" else self.negative(a, b))

    def empty(self, over: str, a: slice, b: slice) -> bool:
        """Whether a tile surely has no pair of `over`, told from its groups; not asked on a GPU, which would wait."""
        if over != "positives" or self.positive_rows is not None or self.rows.device.type != "cpu":
            return False
        return not bool(torch.isin(self.row_group[a], self.column_group[b]).any())


# --- making them ------------------------------------------------------------------------------------------------


def among(views: Views, relation: Relation, world: World = ONE, similarity: str = "cosine") -> Pairs:
    """All embeddings of this process, V views of N rows one view after the other, against all of everybody."""
    z, guided = similar.prepared(torch.cat(list(views)), similarity), None
    if (guide := relation.guide) is not None:
        if guide.shape[1] != len(views) or len(views) < 2:
            raise ValueError(f"relation.guide: expected vectors of {len(views)} sides, got {guide.shape[1]}")
        beside = torch.diag(guide.new_full((len(views),), torch.inf))  # a side is not its own other one
        least = (guide @ guide.mT + beside).amin(2)
        every = guide.transpose(0, 1).flatten(0, 1)
        guided = every, every, least.T.flatten()
    return _pairs(z, z, len(views), relation, world, similarity, guided, within=True)


def between(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, world: World = ONE, similarity: str = "cosine"
) -> Pairs:
    """One side's embeddings (N, D) of this process against the other side's of everybody."""
    x, y = (similar.prepared(side, similarity) for side in (left, right))
    guided = None
    if relation.guide is not None:
        if relation.guide.shape[1] != 2:
            raise ValueError(f"relation.guide: expected vectors of 2 sides, got {relation.guide.shape[1]}")
        one, other = relation.guide.unbind(1)
        guided = one, other, (one * other).sum(1)
    return _pairs(x, y, 1, relation, world, similarity, guided, within=False)


def _pairs(
    rows: torch.Tensor, mine: torch.Tensor, views: int, relation: Relation, world: World, similarity: str,
    guided: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None, *, within: bool,
) -> Pairs:  # fmt: skip
    n, device = len(relation), rows.device
    start = offset(n, world, device)
    said = (relation.ignore, relation.shown, relation.within)
    vectors = [v if v is None or v.dim() == 2 else v[:, None] for v in said]
    # One tensor of all integers, so that the processes exchange them at once.
    number = torch.arange(start, start + n, device=device)
    known = torch.cat([relation.group[:, None], number[:, None], *(v for v in vectors if v is not None)], 1)
    known = known.repeat(views, 1)
    columns, everybody = world.gather(mine), world.gather_int(known)
    widths = [0 if v is None else v.shape[1] for v in vectors]
    (row_ignore, row_shown, row_within), (column_ignore, column_shown, column_within) = (
        [part if width else None for part, width in zip(x[:, 2:].split(widths, 1), widths, strict=True)]
        for x in (known, everybody)
    )
    lists = [None if x is None else x.repeat(views, 1) for x in (relation.positive_rows, relation.negative_rows)]
    row_guide, column_guide, least = guided or (None, None, None)
    return Pairs(
        rows, columns, known[:, 0].contiguous(), everybody[:, 0].contiguous(), similarity,
        own=torch.arange(views * start, views * start + len(rows), device=device) if within else None,
        row_ignore=row_ignore, column_ignore=column_ignore, row_shown=row_shown, column_shown=column_shown,
        row_within=None if row_within is None else row_within[:, 0],
        column_within=None if column_within is None else column_within[:, 0],
        column_row=everybody[:, 1], positive_rows=lists[0], negative_rows=lists[1], row_guide=row_guide,
        column_guide=None if column_guide is None else world.gather(column_guide), row_least=least,
    )  # fmt: skip


def offset(count: int, world: World, device: torch.device) -> int:
    """Rows of the processes before this one, which has `count`."""
    if world.size == 1:
        return 0
    return int(world.gather_int(torch.tensor([count], device=device))[: world.rank].sum())


# --- sums over them ---------------------------------------------------------------------------------------------


def logsumexp(pairs: Pairs, scale: Scalar, over: str = "others", bias: torch.Tensor | None = None) -> torch.Tensor:
    """log Σ_j exp(scale · s_ij + bias_j) over the columns named by `over`; −inf where there is none; shape (M,).

    The scale is 1/τ, and a tensor gets a gradient; the bias (C,) gets none. "others" are positives and negatives.
    """
    if pairs.similarity not in ("cosine", "dot"):

        def term(tile: Tile, scale: torch.Tensor) -> torch.Tensor:
            x = scale * tile.similarity
            return tile.only(over, x if bias is None else x + bias[None, tile.columns], -torch.inf)

        return reduce(pairs, term, scale)
    unit = pairs.similarity == "cosine"
    return tiles.logsumexp(
        pairs.rows, pairs.columns, scale, lambda a, b: pairs.unseen(over, a, b), triangle=pairs.symmetric and unit,
        bias=bias,
    )  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """One tile of `Pairs`, as a term of `reduce` sees it: its similarities (A, B), and where in `Pairs` it lies."""

    pairs: Pairs
    rows: slice
    columns: slice
    similarity: torch.Tensor

    @property
    def positive(self) -> torch.Tensor:
        """Mask (A, B) of positives."""
        return self.pairs.positive(self.rows, self.columns)

    def only(self, over: str, values: torch.Tensor, fill: float) -> torch.Tensor:
        """`values` (A, B) with `fill` where the pair is none of `over` (see `logsumexp`)."""
        mask = self.pairs.unseen(over, self.rows, self.columns)
        return values if mask is None else values.masked_fill(mask, fill)


Term = Callable[..., torch.Tensor]


def reduce(
    pairs: Pairs, term: Term, *parameters: Scalar, how: str = "logsumexp", symmetric: bool = True, over: str = "others"
) -> torch.Tensor:
    """Σ_j or log Σ_j exp of a term of every pair, for each row; exact, in tiles, with gradients; shape (M,).

    Parameters
    ----------
    pairs : Pairs
    term : callable
        ``term(tile, *parameters)`` gives (A, B) numbers, a function of ``tile.similarity`` and ``tile.positive`` …
        element by element; 0 (or −inf for ``logsumexp``) for what does not count. It may be called twice per tile.
    *parameters : Scalar or Tensor
        What else the term depends on and what may need a gradient.
    how : {"logsumexp", "sum"}
    symmetric : bool
        The term of (i, j) is that of (j, i) whenever `pairs` is symmetric; False for one with a number per row.
    over : {"others", "positives", "negatives"}
        Kind of pairs outside of which the term is 0 (or −inf): tiles without any may be passed over.
    """
    tensors = [torch.as_tensor(p, dtype=pairs.rows.dtype, device=pairs.rows.device) for p in parameters]
    triangle = symmetric and pairs.symmetric
    return _Reduce.apply(pairs, term, how, triangle, over, pairs.rows, pairs.columns, *tensors)


class _Reduce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, term: Term, how: str, triangle: bool, over: str, rows: torch.Tensor,
        columns: torch.Tensor, *parameters: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        total = tiles.Running(rows, logarithm=how == "logsumexp")
        for a, b in tiles.grid(rows, columns, triangle=triangle):
            if pairs.empty(over, a, b):
                continue
            values = term(Tile(pairs, a, b, similar.of_tile(rows[a], columns[b], pairs.similarity)), *parameters)
            total.add(a, values)
            if triangle and a != b:
                total.add(b, values.T)
        result = total.result()
        ctx.pairs, ctx.term, ctx.how, ctx.triangle, ctx.over = pairs, term, how, triangle, over
        ctx.save_for_backward(rows, columns, result, *parameters)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, columns, result, *parameters = ctx.saved_tensors
        anchor = torch.where(torch.isfinite(result), result, 0.0)
        gradient = torch.where(torch.isfinite(result), gradient, 0.0)
        wanted = [i for i, needed in enumerate(ctx.needs_input_grad[5:]) if needed]
        totals = [torch.zeros_like(t) for t in (rows, columns, *parameters)]

        def weight(values: torch.Tensor, row: slice, axis: int) -> torch.Tensor:
            """Of each pair of the tile in the sums of these rows."""
            upstream, shift = (v[row].unsqueeze(axis) for v in (gradient, anchor))
            return upstream.expand_as(values) if ctx.how == "sum" else (values - shift).exp_().mul_(upstream)

        for a, b in tiles.grid(rows, columns, triangle=ctx.triangle):
            if ctx.pairs.empty(ctx.over, a, b):
                continue
            with torch.enable_grad():
                leaves = enumerate((rows[a], columns[b], *parameters))
                x, y, *p = (t.detach().requires_grad_(i in wanted) for i, t in leaves)
                values = ctx.term(Tile(ctx.pairs, a, b, similar.of_tile(x, y, ctx.pairs.similarity)), *p)
            if not values.requires_grad:
                continue
            each = weight(values.detach(), a, 1)
            if ctx.triangle and a != b:
                each = each + weight(values.detach(), b, 0)
            sources = [(x, y, *p)[i] for i in wanted]
            for i, g in zip(wanted, torch.autograd.grad(values, sources, each, allow_unused=True), strict=True):
                if g is not None:
                    place = totals[i] if i > 1 else totals[i][(a, b)[i]]
                    place += g
        return None, None, None, None, None, *(t if i in wanted else None for i, t in enumerate(totals))


def positives(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean similarity of each row with its positives (0 without any), and how many it has; both (M,).

    For dot products Σ_p z_i·z_p is z_i · (sum of the group), so time and memory are O(M·D) however many there are.
    """
    if pairs.plain and pairs.similarity in ("cosine", "dot"):
        member, mine, count = _members(pairs)
        total = torch.where(count > 0, tiles.group_dot(pairs.rows, pairs.columns, mine, member), 0.0)
        if pairs.own is not None:
            count, total = count - 1, total - pairs.rows.square().sum(1)
    else:
        count = reduce_count(pairs, "positives")
        total = reduce(pairs, lambda tile: tile.only("positives", tile.similarity, 0.0), how="sum", over="positives")
    return total / count.clamp(min=1), count


def _members(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Group of every column (C,) and row (M,), numbered from 0; and how many columns each row's group has (M,)."""
    distinct, member, size = pairs.column_group.unique(return_inverse=True, return_counts=True)
    mine = torch.searchsorted(distinct, pairs.row_group).clamp(max=len(distinct) - 1)
    return member, mine, torch.where(distinct[mine] == pairs.row_group, size[mine], 0)


@torch.no_grad()
def reduce_count(pairs: Pairs, over: str) -> torch.Tensor:
    """How many columns of the kind `over` each row has, shape (M,)."""
    if pairs.plain:  # sizes of groups say it all
        _, _, same = _members(pairs)
        itself, columns = int(pairs.own is not None), len(pairs.columns)
        return {"others": same * 0 + columns - itself, "positives": same - itself, "negatives": columns - same}[over]
    count = torch.zeros(len(pairs.rows), dtype=torch.long, device=pairs.rows.device)
    for a, b in tiles.grid(pairs.rows, pairs.columns):
        mask = pairs.unseen(over, a, b)
        count[a] += b.stop - b.start if mask is None else (~mask).sum(1)
    return count


@torch.no_grad()
def hardest(pairs: Pairs, over: str, *, nearest: bool) -> torch.Tensor:
    """Column of each row that is the most (`nearest`) or the least similar of `over`, -1 without any; (M,).

    Ties go to the lowest column.
    """
    sign = 1 if nearest else -1
    best = pairs.rows.new_full((len(pairs.rows),), -torch.inf)
    place = torch.full((len(pairs.rows),), -1, device=pairs.rows.device)
    for a, b in tiles.grid(pairs.rows, pairs.columns):
        if pairs.empty(over, a, b):
            continue
        s = sign * similar.of_tile(pairs.rows[a], pairs.columns[b], pairs.similarity)
        if (mask := pairs.unseen(over, a, b)) is not None:
            s = s.masked_fill(mask, -torch.inf)
        value, column = s.max(1)
        better = value > best[a]
        best[a] = torch.where(better, value, best[a])
        place[a] = torch.where(better, column + b.start, place[a])
    return place
