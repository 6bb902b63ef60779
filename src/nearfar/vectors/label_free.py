"""How good an embedding is, without labels: three measures, each blind where another sees.

==================  =============================================  =============================================
by                  asks                                           is fooled by
==================  =============================================  =============================================
RankMe              how many dimensions are used                   noise, and whatever whitens: all are used
alpha-ReQ           whether the spectrum falls like 1/i            a spectrum of that shape that means nothing
agreement of views  whether a row's views lie nearer than rows do  few dimensions that no view can change
==================  =============================================  =============================================

So none is used by itself: `scores` takes the mean of the ranks. It is no protocol, which is handed rows and no views.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from nearfar.vectors.geometry import alignment, effective_rank, rankme

NAMES = ("rankme", "alpha", "agreement")
NEIGHBOURS = 10  # of a row
COLLAPSED = 1e-6  # mean squared distance of unit vectors below which different rows are one point


def alpha(x: torch.Tensor) -> float:
    """Exponent of the decay of the covariance's eigenvalues of rows (N, D) (Agrawal et al., NeurIPS 2022).

    The a of λ_i ∝ i^−a: 0 is flat, about 1 is what the paper finds in embeddings that serve well, infinite is one
    point. Fitted by least squares to log λ over log i, each i weighed by 1/i so that every octave counts the same,
    from the second eigenvalue to the middle one: the last ones are what so few rows left over.
    """
    if not float(effective_rank(x)) > 1 + 1e-6:
        return math.inf
    values = torch.linalg.svdvals((x - x.mean(0)).double()).square()
    last = max(3, min(x.shape[1], len(x) - 1) // 2)
    index = torch.arange(2, last + 1, dtype=torch.float64)
    height = (values[1:last] / values[0]).clamp(min=1e-12).log()
    index = index[: len(height)]
    weight, across = 1 / index / (1 / index).sum(), index.log()
    across = across - (weight * across).sum()
    return float(-(weight * across * height).sum() / (weight * across.square()).sum())


def agreement(a: torch.Tensor, b: torch.Tensor) -> float:
    """How much nearer two views (N, D) of a row lie than views of two rows do: 1 means that all views are equal.

    1 − (mean squared distance of a row's views) / (that of different rows), of unit vectors. Alignment by itself
    (Wang and Isola 2020, arXiv 2005.10242) is best for one point; against the distance of different rows one point is
    0, as is noise.
    """
    a, b = F.normalize(a.float(), dim=1), F.normalize(b.float(), dim=1)
    n, within = len(a), float(alignment(a, b))
    cosines = a.sum(0) @ b.sum(0) - (a * b).sum()
    between = float(2 - 2 * cosines / (n * (n - 1)))
    return 1 - within / between if between > COLLAPSED else 0.0


def nearest(x: torch.Tensor, count: int = NEIGHBOURS) -> torch.Tensor:
    """The numbers of the rows that are nearest to each of the rows (N, D), by cosines: int64 (N, count)."""
    z = F.normalize(x.float(), dim=1)
    return (z @ z.T).fill_diagonal_(-math.inf).topk(min(count, len(x) - 1), dim=1).indices


def shared(a: torch.Tensor, b: torch.Tensor) -> float:
    """What share of nearest rows, of `nearest`, are so in both of two embeddings of the same rows."""
    return float((a[:, :, None] == b[:, None, :]).any(2).float().mean())


def measure_views(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """RankMe and alpha of rows x (N, D), and the agreement of two views a, b of them: float64 (3,), as in `NAMES`."""
    return np.asarray([rankme(x), alpha(x), agreement(a, b)])


def scores(measures: np.ndarray) -> np.ndarray:
    """Mean rank over the three measures (T, 3) of T embeddings of the same rows, as scores between 0 and 1, (T,).

    1 is best in all three, 0 worst in all; equals share their rank. A high RankMe and a high agreement are good, and
    an alpha near 1 in ratio: 1/2 is as far as 2. Ranks need no common unit and no weight, and a measure that is fooled
    cannot win by how far it is fooled; but they compare only what stands side by side.
    """
    from scipy import stats

    if len(measures) == 1:
        return np.ones(1)
    rank, decay, agree = measures.T
    with np.errstate(divide="ignore"):
        away = np.abs(np.log(np.maximum(decay, 1e-6)))
    places = np.stack([stats.rankdata(good) for good in (rank, -away, agree)])
    return (places.mean(0) - 1) / (len(measures) - 1)
