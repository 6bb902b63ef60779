"""How many dimensions vectors use, and how near to each other they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

DUST = 1e-6  # of the mean: deviations below it are rounding
DESCRIBED, PAIRED = 5000, 2000  # rows that `describe` looks at, and pairs of which it compares


def effective_rank(x: torch.Tensor) -> torch.Tensor:
    """exp of the entropy of the normalised singular values (Roy and Vetterli 2007) of centred rows (N, D)."""
    mean = x.float().mean(0)
    x = x.float() - mean
    largest = x.abs().amax()
    if not largest > DUST * mean.abs().amax():  # one point: rounding has no rank, and its eigenvalues do not converge
        return torch.ones((), device=x.device)
    x = x / largest
    p = torch.linalg.eigvalsh(x.T @ x if x.shape[1] <= x.shape[0] else x @ x.T).clamp(min=0).sqrt()
    p = p / p.sum()
    return torch.exp(-(p * (p + 1e-12).log()).sum())


def rankme(x: torch.Tensor) -> float:
    """exp of the entropy of the normalised singular values (Garrido et al. 2022, arXiv 2210.02885) of rows (N, D)."""
    p = torch.linalg.svdvals(x.float())
    p = p / p.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def alignment(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the unit vectors of two views (Wang and Isola 2020, arXiv 2005.10242)."""
    return (F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1).mean()


def uniformity(x: torch.Tensor) -> torch.Tensor:
    """log mean exp(−2·squared distance) over pairs of unit vectors; 0 if all are equal, −4 if evenly distributed."""
    z = F.normalize(x.float(), dim=1)
    return torch.pdist(z).square().mul(-2).exp().mean().log()


def mean_cosine(x: torch.Tensor) -> torch.Tensor:
    """Mean cosine of different rows: 1 means one point."""
    z, n = F.normalize(x.float(), dim=1), len(x)
    return (z.sum(0).square().sum() - z.square().sum()) / (n * (n - 1))


def describe(x: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """What an evaluation says of the shape of vectors (N, D): all of the above, of some rows drawn by `seed`."""
    rows = np.random.default_rng(seed).permutation(len(x))[:DESCRIBED]
    z = torch.from_numpy(np.ascontiguousarray(x[rows]))
    if len(z) < 3:
        return {"rows": len(z)}
    return {
        "effective_rank": float(effective_rank(z)), "rankme": rankme(z), "uniformity": float(uniformity(z[:PAIRED])),
        "mean_cosine": float(mean_cosine(z)), "dimensions": int(z.shape[1]), "rows": len(z),
    }  # fmt: skip
