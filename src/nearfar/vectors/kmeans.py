"""k-means of unit vectors: quick and with every cluster filled for training, plain for measuring."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np

ITERATIONS = 20
SAMPLE = 1000  # rows per cluster that faiss finds the centres with, at most
BATCH = 4096  # rows of a step of MiniBatchKMeans while training
EXACT = 20_000  # rows below which every step of `cluster` sees all of them
MEASURED_BATCH = 500  # rows of a step above that, as in MTEB


def library() -> str:
    """What `kmeans` computes with: faiss where it is installed, scikit-learn elsewhere."""
    return "faiss" if importlib.util.find_spec("faiss") else "scikit-learn"


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
    x, seed = np.ascontiguousarray(x, np.float32), seed % 2**31
    if library() == "faiss":
        import faiss
        import torch

        faiss.omp_set_num_threads(torch.get_num_threads())
        model = faiss.Kmeans(
            x.shape[1], clusters, niter=ITERATIONS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=SAMPLE
        )
        model.train(x, init_centroids=centres)
        return fill(x, model.centroids.copy(), model.index.search(x, 1)[1][:, 0].astype(np.int64))
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(
        clusters, init="k-means++" if centres is None else centres, n_init=1, batch_size=max(BATCH, clusters),
        max_iter=ITERATIONS, random_state=seed,
    ).fit(x)  # fmt: skip
    return fill(x, model.cluster_centers_.astype(np.float32), model.labels_.astype(np.int64))


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


def cluster(x: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Cluster of each row of x (N, D) as clusterings are measured, which may leave clusters empty; int64 (N,)."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    common = {"n_clusters": clusters, "init": "k-means++", "n_init": 1, "random_state": seed % 2**32}
    model = KMeans(**common) if len(x) < EXACT else MiniBatchKMeans(batch_size=MEASURED_BATCH, **common)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters: a collapse
        return model.fit_predict(x).astype(np.int64)
