"""Projectors, predictors and prototypes."""

from __future__ import annotations

from itertools import chain, pairwise, repeat

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.objectives.kernel.similarity import unit


def mlp(
    features: int, hidden: int, out: int, *, layers: int = 2, norm: bool = True, norm_last: bool = False
) -> nn.Sequential:
    """`layers` linear layers with batch norm (optional) and ReLU between them, from (N, features) to (N, out).

    Parameters
    ----------
    features, hidden, out : int
        Dimensions. With ``layers=1`` there is no hidden layer.
    layers : int
    norm : bool
        Batch norm after the hidden layers; those layers then have no bias, which the norm would cancel.
    norm_last : bool
        Batch norm without scale and shift after the last layer (SimCLR's official code, SimSiam, MoCo v3).
    """
    dims = chain((features,), repeat(hidden, layers - 1), (out,))  # layers may be any number: see models/blueprint.py
    parts: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(dims)):
        last = i >= layers - 1
        normed = norm_last if last else norm
        parts.append(nn.Linear(before, after, bias=not normed))
        if normed:
            parts.append(nn.BatchNorm1d(after, affine=not last))
        if not last:
            parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


def cosines(z: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Cosines (N, K) of embeddings (N, D) with unit vectors (K, D), in the type of these, also under autocast."""
    with torch.autocast(z.device.type, enabled=False):
        return unit(z.to(directions.dtype)) @ directions.T


class Directions(nn.Module):
    """`size` learnt directions of `dim` dimensions (prototypes); only their angle counts."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(size, dim), dim=1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Cosines (N, size) of embeddings (N, dim) with them, in the type of the directions."""
        return cosines(z, F.normalize(self.weight, dim=1))
