"""Writing vectors as a table that other programs read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nearfar import files
from nearfar.data.table import Table
from nearfar.errors import ConfigError

ENDINGS = (".parquet", ".npz", ".npy")
LAYOUTS = ("pca", "tsne", "umap")
UMAP_NEIGHBOURS = 15


def write(path: Path, table: Table, z: np.ndarray, *, project: str | None = None) -> None:
    """Names, vectors (N, D), labels where there are some, and two coordinates if asked for.

    Parquet has the columns ``name``, ``vector``, ``label``, ``projection_x``, ``projection_y``.
    """
    xy = layout(z, project) if project else None
    labels = None
    if table.labels is not None:
        labels = [table.label_names[i] if i >= 0 else None for i in table.labels]
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, z, allow_pickle=False)
    elif path.suffix == ".npz":
        arrays = {"name": np.asarray([str(n) for n in table.names]), "vector": z}
        if table.labels is not None:
            arrays["label"] = table.labels
        if xy is not None:
            arrays |= {"projection_x": xy[:, 0], "projection_y": xy[:, 1]}
        np.savez(buffer, **arrays)
    else:
        import pyarrow as pa
        from pyarrow import parquet

        flat = pa.array(np.ascontiguousarray(z, np.float32).reshape(-1))
        columns = {
            "name": pa.array([str(n) for n in table.names]),
            "vector": pa.FixedSizeListArray.from_arrays(flat, z.shape[1]),
        }
        if labels is not None:
            columns["label"] = pa.array(labels)
        if xy is not None:
            columns |= {"projection_x": pa.array(xy[:, 0]), "projection_y": pa.array(xy[:, 1])}
        parquet.write_table(pa.table(columns), buffer)
    files.write_atomic(path, buffer.getvalue())


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
        try:
            from umap import UMAP
        except ImportError as e:
            raise ConfigError("UMAP is not installed.", hint='Say pip install "nearfar[umap]".') from e
        return UMAP(n_neighbors=UMAP_NEIGHBOURS, metric="cosine", random_state=seed).fit_transform(z).astype(np.float32)
    width = min(50 if kind == "tsne" else 2, *z.shape)
    flat = PCA(width, random_state=seed).fit_transform(np.asarray(z, np.float64))
    flat = np.pad(flat, ((0, 0), (0, max(0, 2 - width))))
    if kind == "tsne" and len(z) > 10:
        from sklearn.manifold import TSNE

        perplexity = min(30, (len(z) - 1) / 3)
        flat = TSNE(2, init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(flat)
    return flat[:, :2].astype(np.float32)
