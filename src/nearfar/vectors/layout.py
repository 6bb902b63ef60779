"""Vectors in the plane."""

from __future__ import annotations

import numpy as np

from nearfar.core.errors import library

LAYOUTS = ("pca", "tsne", "umap")
UMAP_NEIGHBOURS = 15


def layout(z: np.ndarray, kind: str = "pca", seed: int = 0) -> np.ndarray:
    """Two coordinates of each row, float32 (N, 2).

    Parameters
    ----------
    z : ndarray (N, D)
    kind : {"pca", "tsne", "umap"}
        Principal components; t-SNE started from them; UMAP, whose layout differs between machines.
    seed : int

    Raises
    ------
    ConfigError
        UMAP is asked for and not installed.
    """
    from sklearn.decomposition import PCA

    if not np.ptp(z, axis=0).max(initial=0) > 1e-12:  # all at one place, of which t-SNE makes NaN and then crashes
        return np.zeros((len(z), 2), np.float32)
    if kind == "umap" and len(z) > UMAP_NEIGHBOURS + 1:
        umap = library("umap", "umap").UMAP(n_neighbors=UMAP_NEIGHBOURS, metric="cosine", random_state=seed)
        return umap.fit_transform(z).astype(np.float32)
    width = min(50 if kind == "tsne" else 2, *z.shape)
    flat = PCA(width, random_state=seed).fit_transform(np.asarray(z, np.float64))
    flat = np.pad(flat, ((0, 0), (0, max(0, 2 - width))))
    if kind == "tsne" and len(z) > 10:
        from sklearn.manifold import TSNE

        perplexity = min(30, (len(z) - 1) / 3)
        flat = TSNE(2, init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(flat)
    return flat[:, :2].astype(np.float32)
