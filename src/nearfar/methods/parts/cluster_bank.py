"""Clusters of all rows as a part of a method: prototypical contrast (Li et al. 2020, arXiv 2005.04966)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.methods.parts.heads import cosines
from nearfar.objectives.kernel.relation import NOBODY
from nearfar.objectives.kernel.world import World, mean

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Embeddings


class Clustering(nn.Module):
    """The last embedding of every row, k-means of them once an epoch, and the contrast of a row with the centres.

    Parameters
    ----------
    rows, dim : int
        Of the table, and of an embedding.
    sizes : sequence of int
        Clusters of each level.
    every : int
        Steps between two clusterings.
    smoothing : float
        α of the concentration: keeps that of small clusters finite.
    """

    def __init__(self, rows: int, dim: int, sizes: Sequence[int], every: int, smoothing: float) -> None:
        super().__init__()
        self.sizes, self.every, self.smoothing = list(sizes), every, smoothing
        self.register_buffer("bank", torch.zeros(rows, dim))  # unit vectors; 0 until a row is seen
        self.register_buffer("centres", torch.zeros(sum(sizes), dim))
        self.register_buffer("concentration", torch.ones(sum(sizes)))  # φ, with mean 1 in each level
        # The cluster of each row at each level; of one that was not seen before the last clustering, nobody's.
        self.register_buffer("nearest", torch.full((len(self.sizes), rows), NOBODY))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def loss(self, z: torch.Tensor, index: torch.Tensor, temperature: float, world: World) -> torch.Tensor | None:
        """Mean over levels and rows of −log( exp(z·c_s/φ_s) / Σ_c exp(z·c/φ_c) ); None before the first clustering.

        Of embeddings z (N, dim) of the rows that have the numbers `index` (N,) in the table; the mean of φ is the
        temperature. The paper draws some centres as negatives; here all of a level are. Rows that no clustering saw are
        left out.
        """
        if int(self.steps) < self.every:
            return None
        scores = cosines(z, self.centres) / (temperature * self.concentration)
        nearest = self.nearest[:, index]
        known = nearest[0] != NOBODY  # every level clusters the same rows
        if not world.all_reduce(known.sum()):
            return scores.sum() * 0
        losses = [
            mean(F.cross_entropy(level, own.clamp(min=0), reduction="none"), known, world)[0]
            for level, own in zip(scores.split(self.sizes, 1), nearest, strict=True)
        ]
        return torch.stack(losses).mean()

    def wrong(self) -> str | None:
        """What cannot be in numbers that were loaded, in words."""
        most = torch.tensor(self.sizes, device=self.nearest.device)[:, None]
        fits = ((self.nearest >= NOBODY) & (self.nearest < most)).all() and self.steps >= 0
        return None if fits else "a row is in a cluster that there is none of"

    @torch.no_grad()
    def after_step(self, embeddings: Embeddings) -> None:
        world = embeddings.world
        z = next(t for t in embeddings.target if t is not None)
        index = world.gather_int(embeddings.index)
        self.bank[index] = F.normalize(world.gather_int(z.detach()).to(self.bank.dtype), dim=1)
        self.steps += 1
        if int(self.steps) % self.every == 0:
            self._cluster()

    def _cluster(self) -> None:
        """k-means of the rows that have been seen, each level by itself; every process finds the same."""
        from nearfar.vectors.basics import unit
        from nearfar.vectors.kmeans import kmeans

        seen = self.bank.square().sum(1).nonzero()[:, 0]
        x = self.bank[seen].cpu().numpy().astype("float32")
        first = 0
        for level, size in enumerate(self.sizes):
            size = min(size, len(x))
            centres, nearest = kmeans(x, size, seed=int(self.steps) + level)
            centres, own = torch.from_numpy(unit(centres)), torch.from_numpy(nearest)
            part = slice(first, first + size)
            self.centres[part] = centres.to(self.centres)
            self.concentration[part] = _concentration(torch.from_numpy(x), centres, own, self.smoothing).to(self.bank)
            self.nearest[level] = NOBODY
            self.nearest[level, seen] = own.to(self.nearest.device)
            first += self.sizes[level]


def _concentration(x: torch.Tensor, centres: torch.Tensor, own: torch.Tensor, smoothing: float) -> torch.Tensor:
    """φ_c = Σ |x − c| / (Z·log(Z + α)) over the Z rows of cluster c (the paper's equation 12), scaled to mean 1."""
    count = torch.bincount(own, minlength=len(centres))
    distance = torch.zeros(len(centres)).index_add_(0, own, (x - centres[own]).norm(dim=1))
    several = count > 1
    if not several.any():
        return torch.ones(len(centres))
    phi = distance / (count.clamp(min=1) * (count + smoothing).log())
    phi = torch.where(several, phi, phi[several].max())  # a cluster of one row is at no distance from its centre
    phi = phi.clamp(phi.quantile(0.1), phi.quantile(0.9))  # outliers are cut, as in the paper's code
    return phi / phi.mean()
