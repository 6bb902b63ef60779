"""k-means of unit vectors, by faiss where it is installed and by scikit-learn elsewhere."""

from __future__ import annotations

import importlib.util

import numpy as np

ITERATIONS = 20
SAMPLE = 1000  # rows per cluster that faiss finds the centres with, at most
BATCH = 4096  # rows of a step of MiniBatchKMeans


def library() -> str:
    """What computes here."""
    return "faiss" if importlib.util.find_spec("faiss") else "scikit-learn"


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32 (N, D)."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.ascontiguousarray(x / np.maximum(length, 1e-12), np.float32)


def kmeans(
    x: np.ndarray, clusters: int, *, seed: int, centres: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the rows, and the nearest centre of every row.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    clusters : int
        K ≤ N.
    seed : int
        The first centres are drawn from it.
    centres : ndarray of float32 (K, D), optional
        Where to start instead: cluster k stays the cluster k.

    Returns
    -------
    centres : ndarray of float32 (K, D)
    nearest : ndarray of int64 (N,)
        No cluster is empty; see `fill`.
    """
    found = (_faiss if library() == "faiss" else _sklearn)(x, clusters, seed % 2**31, centres)
    return fill(x, *found)


def _faiss(x: np.ndarray, clusters: int, seed: int, start: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    import faiss
    import torch

    faiss.omp_set_num_threads(torch.get_num_threads())
    found = faiss.Kmeans(
        x.shape[1], clusters, niter=ITERATIONS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=SAMPLE
    )
    found.train(x, init_centroids=start)
    return found.centroids.copy(), found.index.search(x, 1)[1][:, 0].astype(np.int64)


def _sklearn(x: np.ndarray, clusters: int, seed: int, start: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(
        clusters, init="k-means++" if start is None else start, n_init=1, batch_size=max(BATCH, clusters),
        max_iter=ITERATIONS, random_state=seed,
    ).fit(x)  # fmt: skip
    return found.cluster_centers_.astype(np.float32), found.labels_.astype(np.int64)


def fill(x: np.ndarray, centres: np.ndarray, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every empty cluster the row that lies farthest from its own centre, and is not alone there.

    Parameters and results are those of `kmeans`; the row becomes the cluster's centre.
    """
    size = np.bincount(nearest, minlength=len(centres))
    if size.all():
        return centres, nearest
    centres, nearest = centres.copy(), nearest.copy()
    far = np.square(x - centres[nearest]).sum(1)
    candidates = iter(np.argsort(-far, kind="stable"))
    for empty in np.flatnonzero(size == 0):
        row = next(r for r in candidates if size[nearest[r]] > 1)
        size[nearest[row]] -= 1
        centres[empty], nearest[row] = x[row], empty
        size[empty] = 1
    return centres, nearest
