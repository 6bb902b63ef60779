"""Votes of the nearest neighbours, where those that are equally near share."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from nearfar.vectors.basics import TIE, right

SETTINGS = ((20, 0.07), (200, 0.1), (10, None))  # (k, temperature); None weighs all neighbours alike
TILE = 2048  # test rows compared at once, at most
CELLS = 2**25  # and at most so many cosines


def hits(
    gallery: np.ndarray, labels: np.ndarray, queries: np.ndarray, truth: np.ndarray, classes: int, k: int,
    tau: float | None,
) -> np.ndarray:  # fmt: skip
    """Probability that each query's true class has the most votes of its k nearest gallery rows, float64 (Q,)."""
    return right(votes(gallery, labels, queries, classes, k, tau).numpy(), truth, TIE / min(1, tau or 1))


def votes(
    gallery: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int, k: int, tau: float | None
) -> torch.Tensor:
    """Sum of the weights of each class among the k nearest gallery rows, (Q, classes); the nearest row weighs 1.

    Rows that are equally near as the k-th share what places are left between them.
    """
    g, q = (F.normalize(torch.from_numpy(np.ascontiguousarray(x)), dim=1) for x in (gallery, queries))
    y, out = torch.from_numpy(labels), [torch.zeros(0, classes)]
    more = k < len(g)
    for part in q.split(int(np.clip(CELLS // len(g), 1, TILE))):
        cosine = part @ g.T
        near, row = cosine.topk(k + more, dim=1)
        found = torch.zeros(len(part), classes).scatter_add_(1, y[row[:, :k]], _weights(near[:, :k], near, tau))
        if more and len(tied := (near[:, k] >= near[:, k - 1] - TIE).nonzero()[:, 0]):
            found[tied] = _shared(cosine[tied], near[tied], y, classes, k, tau)
        out.append(found)
    return torch.cat(out)


def _weights(cosine: torch.Tensor, near: torch.Tensor, tau: float | None) -> torch.Tensor:
    return torch.ones_like(cosine) if tau is None else ((cosine - near[:, :1]) / tau).exp()


def _shared(
    cosine: torch.Tensor, near: torch.Tensor, y: torch.Tensor, classes: int, k: int, tau: float | None
) -> torch.Tensor:
    """`votes` of queries (T, N) with more rows at the k-th place than there are places."""
    last = near[:, k - 1 : k]
    above, level = cosine > last + TIE, (cosine - last).abs() <= TIE
    places = (k - above.sum(1, keepdim=True)) / level.sum(1, keepdim=True)
    share = torch.where(above, _weights(cosine, near, tau), level * places * _weights(last, near, tau))
    return torch.zeros(len(cosine), classes).index_add_(1, y, share)


def scores(
    gallery: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int, k: int, tau: float | None
) -> torch.Tensor:
    """Logarithm of each class's share of the votes, (Q, classes).

    One further vote, as heavy as that of the nearest row, is shared evenly by all classes, so that no share is zero.
    """
    found = votes(gallery, labels, queries, classes, k, tau)
    return ((found + 1 / classes) / (found.sum(1, keepdim=True) + 1)).log()


def online_knn(
    gallery: torch.Tensor, labels: np.ndarray, queries: torch.Tensor, truth: np.ndarray, k: int = 20, tau: float = 0.07
) -> float:
    """Accuracy while training, on held-out rows of the training data."""
    gallery, queries = gallery.cpu().numpy(), queries.cpu().numpy()
    classes = int(max(labels.max(), truth.max())) + 1
    return float(hits(gallery, labels, queries, truth, classes, min(k, len(labels)), tau).mean())
