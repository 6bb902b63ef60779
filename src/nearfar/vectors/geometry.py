"""How many dimensions vectors use, and how near to each other they lie."""

from __future__ import annotations

import torch
import torch.nn.functional as F

DUST = 1e-6  # of the mean: spread below it is rounding


def effective_rank(x: torch.Tensor) -> torch.Tensor:
    """exp of the entropy of the normalised singular values (Roy and Vetterli 2007) of centred rows (N, D)."""
    mean = x.float().mean(0)
    x = x.float() - mean
    spread = x.abs().amax()
    if not spread > DUST * mean.abs().amax():  # one point; rounding is no spread, and eigenvalues of it do not converge
        return torch.ones((), device=x.device)
    x = x / spread
    p = torch.linalg.eigvalsh(x.T @ x if x.shape[1] <= x.shape[0] else x @ x.T).clamp(min=0).sqrt()
    p = p / p.sum()
    return torch.exp(-(p * (p + 1e-12).log()).sum())


def alignment(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the unit vectors of two views (Wang and Isola 2020, arXiv 2005.10242)."""
    return (F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1).mean()


def uniformity(x: torch.Tensor) -> torch.Tensor:
    """log mean exp(−2·squared distance) over pairs of unit vectors; 0 if all are equal, −4 if they spread."""
    z = F.normalize(x.float(), dim=1)
    return torch.pdist(z).square().mul(-2).exp().mean().log()


def mean_cosine(x: torch.Tensor) -> torch.Tensor:
    """Mean cosine of different rows: 1 means one point."""
    z, n = F.normalize(x.float(), dim=1), len(x)
    return (z.sum(0).square().sum() - z.square().sum()) / (n * (n - 1))
