"""Clusters of all rows as a part of a method: prototypical contrast (Li et al. 2020, arXiv 2005.04966)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.methods.parts.heads import cosines
from nearfar.objectives.kernel.world import World, mean

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Embeddings

NOBODY = -1  # cluster of a row that has not been seen yet


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

    Attributes
    ----------
    bank : Tensor (rows, dim)
        Unit vectors; 0 until a row is seen.
    centres : Tensor (sum of sizes, dim)
    concentration : Tensor (sum of sizes,)
        φ, with mean 1 in each level; multiplied by the temperature in the loss.
    nearest : LongTensor (levels, rows)
        Cluster of each row, `NOBODY` for one that was not seen before the last clustering.
    steps : LongTensor ()
    """

    def __init__(self, rows: int, dim: int, sizes: Sequence[int], every: int, smoothing: float) -> None:
        super().__init__()
        self.sizes, self.every, self.smoothing = list(sizes), every, smoothing
        self.register_buffer("bank", torch.zeros(rows, dim))
        self.register_buffer("centres", torch.zeros(sum(sizes), dim))
        self.register_buffer("concentration", torch.ones(sum(sizes)))
        self.register_buffer("nearest", torch.full((len(self.sizes), rows), NOBODY))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def loss(self, z: torch.Tensor, index: torch.Tensor, temperature: float, world: World) -> torch.Tensor | None:
        """Mean over levels and rows of −log( exp(z·c_s/φ_s) / Σ_c exp(z·c/φ_c) ); None before the first clustering.

        Parameters
        ----------
        z : Tensor (N, dim)
        index : LongTensor (N,)
            Numbers of the rows in the table.
        temperature : float
            Mean of φ.
        world : World

        Notes
        -----
        The paper draws some centres as negatives; here all of a level are. Rows that no clustering saw are left out.
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
        """Take in what the twin made of this step's rows; cluster all where an epoch ends."""
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
    """φ_c = Σ |x − c| / (Z·log(Z + α)) over the Z rows of cluster c (the paper's equation 12), scaled to mean 1.

    A cluster of one row has no spread: it takes the largest φ of the others. Outliers are cut at the 10th and 90th
    percentile, as in the paper's code.
    """
    count = torch.bincount(own, minlength=len(centres))
    spread = torch.zeros(len(centres)).index_add_(0, own, (x - centres[own]).norm(dim=1))
    several = count > 1
    if not several.any():
        return torch.ones(len(centres))
    phi = spread / (count.clamp(min=1) * (count + smoothing).log())
    phi = torch.where(several, phi, phi[several].max())
    phi = phi.clamp(phi.quantile(0.1), phi.quantile(0.9))
    return phi / phi.mean()
