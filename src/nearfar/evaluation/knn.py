"""Nearest neighbours: no parameters to fit, so the plainest question that can be put to an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from nearfar.evaluation.features import Features, wilson

TITLE = "kNN"
TAKES = "labels"
SETTINGS = ((20, 0.07), (200, 0.1), (10, None))  # (k, temperature); None weighs all neighbours alike
TILE = 2048  # test rows compared at once


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Cosine kNN at three fixed settings (weights exp(cos/τ): Wu et al. 2018, arXiv 1805.01978).

    Returns
    -------
    dict
        ``accuracy``, ``interval`` and ``settings`` of the first, and all three under ``all``.
    """
    found = []
    for k, tau in SETTINGS:
        used = min(k, len(train.y))
        hits = int((predict(train.x, train.y, test.x, train.classes, used, tau) == test.y).sum())
        settings = {"k": used, "temperature": tau, "metric": "cosine", "gallery": len(train.y), "queries": len(test.y)}
        found.append({"accuracy": hits / len(test.y), "interval": wilson(hits, len(test.y)), "settings": settings})
    return {**found[0], "all": found}


def predict(
    gallery: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int, k: int, tau: float | None
) -> np.ndarray:
    """Class of each query by the votes of its k nearest gallery rows, int64 (Q,)."""
    return votes(gallery, labels, queries, classes, k, tau).argmax(1).numpy()


def votes(
    gallery: np.ndarray, labels: np.ndarray, queries: np.ndarray, classes: int, k: int, tau: float | None
) -> torch.Tensor:
    """Sum of the weights of each class among the k nearest gallery rows, (Q, classes); the nearest row weighs 1."""
    g, q = (F.normalize(torch.from_numpy(np.ascontiguousarray(x)), dim=1) for x in (gallery, queries))
    y, out = torch.from_numpy(labels), []
    for part in q.split(TILE):
        similarity, nearest = (part @ g.T).topk(k, dim=1)
        weights = torch.ones_like(similarity) if tau is None else ((similarity - similarity[:, :1]) / tau).exp()
        out.append(torch.zeros(len(part), classes).scatter_add_(1, y[nearest], weights))
    return torch.cat(out) if out else torch.zeros(0, classes)


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
    found = predict(gallery, labels, queries, int(labels.max()) + 1, min(k, len(labels)), tau)
    return float((found == truth).mean())
