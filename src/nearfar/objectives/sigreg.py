"""SIGReg: every direction of the embedding looks like a standard Gaussian."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, moments, tiles

INFO = Objective(
    function="sigreg",
    formula="L = (1 − λ)·mean (z_v − z̄)² + λ·N·mean_a ∫ |1/N Σ_n exp(i·t·a·z_n) − exp(−t²/2)|² exp(−t²/2) dt",
    paper="Balestriero and LeCun 2025 (LeJEPA)",
    arxiv="2511.08544",
    takes="views",
    neighbours="vicreg matches two moments of each dimension; here all moments of every direction are matched.",
)


def sigreg(
    views: Views, relation: Relation, *, seed: int = 0, weight: float = 0.05, slices: int = 256, knots: int = 17,
    reach: float = 5.0, world: World = ONE,
) -> Compared:  # fmt: skip
    """Sketched isotropic Gaussian regularisation and invariance (Balestriero and LeCun 2025, arXiv 2511.08544).

    With random unit vectors a, z̄ the mean of a row's V views and T the statistic of Epps and Pulley, over the N rows
    of all processes::

        T_v(a) = N ∫ |φ_v(t) − exp(−t²/2)|² exp(−t²/2) dt,   φ_v(t) = 1/N Σ_n exp(i·t·a·z_vn)
        L = (1 − λ)·1/(V·N·D) Σ_v Σ_n |z_vn − z̄_n|² + λ·mean_{v, a} T_v(a)

    The integral from −`reach` to `reach` is the trapezoidal sum over `knots` equidistant points.

    Needs one column and views of it; there are no negatives. The scale of the embeddings matters: each direction is
    asked for mean 0 and variance 1. Without learning (all rows 0) T is N·∫(1 − exp(−t²/2))² exp(−t²/2) dt = 0.41·N;
    Gaussian embeddings have about 1.06 whatever N. Sums over the rows are exchanged with their gradient, whose absence
    is what lightly's issue 1920 was about. Memory is O(N·D + (D + knots)·slices): sines and cosines are computed again
    in the backward pass. The loss is the same on every process. Numbers: ``anchors`` (rows), ``invariance`` and
    ``statistic``, the two terms before they are weighted.

    Parameters
    ----------
    seed : int
        Draws the directions: D × `slices` standard normal float64 numbers, columns then of unit length, from a
        generator on the CPU. The same on every process; pass the number of the step to have new ones in each.
    weight : float
        λ in [0, 1]; the paper: 0.01 to 0.1.
    slices : int
        How many directions.
    knots : int
        Odd; t and −t tell the same, so only half of them are computed.
    reach : float
        Where the integral ends, in units of t. 17 and 5 are the paper's; its code has since moved to 17 knots from 0
        to 3, which is knots=33, reach=3 here. (The text has the weight exp(−t²), its listing the one above.)
    """
    xs = checks.same_shapes("views", views, len(relation))
    checks.within("weight", weight, 0, 1)
    if knots < 3 or knots % 2 == 0:
        raise ValueError(f"knots: expected an odd number from 3, got {knots}")
    checks.above("reach", reach)
    checks.above("slices", slices)
    x, half = xs[0], (knots - 1) // 2
    n, step = moments.count(x, world), reach / half
    with torch.autocast(x.device.type, enabled=False):
        directions = _directions(x.shape[1], slices, seed).to(x)
        sums = [_Waves.apply(z, directions, step, half) for z in xs]
        real, imaginary = world.all_reduce(torch.stack(sums, 1)) / n  # each (V, half, slices)
        t = step * torch.arange(1, half + 1, dtype=x.dtype, device=x.device)[:, None]  # at 0 both functions are 1
        window = torch.exp(-t.square() / 2)
        area = 2 * step * window  # t and −t
        area[-1] /= 2
        statistic = n * (((real - window).square() + imaginary.square()) * area).sum(1).mean()
        mean = sum(xs) / len(xs)
        apart = sum((z - mean).square().sum() for z in xs)
        invariance = world.all_reduce(apart) / (n * len(xs) * x.shape[1])
        loss = (1 - weight) * invariance + weight * statistic
    return loss, {
        "anchors": torch.tensor(n, device=x.device), "invariance": invariance.detach(), "statistic": statistic.detach(),
    }  # fmt: skip


def _directions(dimensions: int, slices: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(dimensions, slices, generator=generator, dtype=torch.float64)
    return drawn / drawn.norm(dim=0)


class _Waves(torch.autograd.Function):
    """Σ_n cos(k·step·z_n·a) and Σ_n sin(k·step·z_n·a) for k = 1 … `half`, shape (2, half, slices)."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, directions: torch.Tensor, step: float, half: int) -> torch.Tensor:
        ctx.save_for_backward(z, directions)
        ctx.step, ctx.half = step, half
        sums = z.new_zeros(2, half, directions.shape[1])
        for rows in tiles.slices(z, directions.shape[1]):
            for k, (cosine, sine) in enumerate(_harmonics(step * (z[rows] @ directions), half)):
                sums[0, k] += cosine.sum(0)
                sums[1, k] += sine.sum(0)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        z, directions = ctx.saved_tensors
        dz = torch.empty_like(z)
        for rows in tiles.slices(z, directions.shape[1]):
            angle = ctx.step * (z[rows] @ directions)
            total = torch.zeros_like(angle)
            for k, (cosine, sine) in enumerate(_harmonics(angle, ctx.half)):
                total += (k + 1) * (gradient[1, k] * cosine - gradient[0, k] * sine)
            dz[rows] = ctx.step * (total @ directions.T)
        return dz, None, None, None


def _harmonics(angle: torch.Tensor, half: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """cos(k·angle) and sin(k·angle) for k = 1 … `half`, each from the one before by a rotation."""
    c, s = first_c, first_s = angle.cos(), angle.sin()
    yield c, s
    for _ in range(half - 1):
        c, s = c * first_c - s * first_s, s * first_c + c * first_s
        yield c, s
