"""Writing vectors as a table that other programs read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nearfar.core import files
from nearfar.data.table import Table
from nearfar.vectors.layout import layout

ENDINGS = (".parquet", ".npz", ".npy")


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
