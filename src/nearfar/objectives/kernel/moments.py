"""Sums over the rows of all processes, for objectives that ask for statistics of the batch instead of pairs.

What goes through `World.all_reduce` is the same on every process, and so is a loss made of it; its gradients come
back summed over the processes, so that their average is the gradient of the whole batch.
"""

from __future__ import annotations

import torch

from nearfar.objectives.kernel.info import Views
from nearfar.objectives.kernel.world import World


def count(x: torch.Tensor, world: World, least: int = 1) -> int:
    """Rows of all processes; a ValueError where there are fewer than `least`."""
    n = len(x) if world.size == 1 else int(world.gather_int(torch.tensor([len(x)], device=x.device)).sum())
    if n < least:
        raise ValueError(f"views: expected at least {least} rows, over all processes, got {n}")
    return n


def centred(x: torch.Tensor, world: World, n: int) -> torch.Tensor:
    """This process's rows (M, D) less the mean of all `n` rows."""
    return x - world.all_reduce(x.sum(0)) / n


def product(x: torch.Tensor, y: torch.Tensor, world: World) -> torch.Tensor:
    """Σ_i x_i y_iᵀ over the rows of all processes, shape (D, D)."""
    return world.all_reduce(x.T @ y)


def squared_distance(views: Views) -> torch.Tensor:
    """Mean over all pairs of V ≥ 2 views of their squared distance, row by row, (M,)."""
    mean = sum(views) / len(views)  # Σ_{v<w} |x_v − x_w|² = V Σ_v |x_v − x̄|², so time is linear in V
    return 2 / (len(views) - 1) * sum((x - mean).square().sum(1) for x in views)
