"""Vectors as a table that other programs read; the function behind ``nearfar embed``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import files
from nearfar.core.console import of_call
from nearfar.core.errors import UnknownName
from nearfar.core.options import checked
from nearfar.data.facts import about_skipped
from nearfar.downstream import tables
from nearfar.models import loading
from nearfar.models.pretrained import is_pretrained
from nearfar.vectors.layout import layout

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Skipped
    from nearfar.models.model import Model

ENDINGS = (".parquet", ".npz", ".npy")


@dataclass(frozen=True, eq=False)
class Embedded:
    """What `embed` gives.

    Attributes
    ----------
    vectors : ndarray of float32 (N, D)
    names : sequence of str
    labels : ndarray of int64 (N,) or None
        Positions in `label_names`; -1 for a row without one.
    label_names : sequence of str
    projection : ndarray of float32 (N, 2) or None
    out : str or None
        The file that holds them.
    skipped : sequence of Skipped
        Rows that could not be read.
    """

    vectors: np.ndarray
    names: Sequence[str]
    labels: np.ndarray | None
    label_names: Sequence[str]
    projection: np.ndarray | None
    out: str | None
    skipped: Sequence[Skipped]

    def __repr__(self) -> str:
        where = f" are in {self.out}" if self.out else ""
        return f"{len(self.vectors):,} vectors of {self.vectors.shape[1]} dimensions{where}."

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar embed --json`` prints."""
        rows, dimensions = self.vectors.shape
        return {"schema": 1, "verb": "embed", "out": self.out, "rows": rows, "dimensions": dimensions,
                "skipped": [{"name": s.name, "reason": s.reason} for s in self.skipped]}  # fmt: skip

    def write(self, path: str | Path) -> None:
        """Write a table.

        Parquet has the columns ``name``, ``vector``, ``label``, ``projection_x`` and ``projection_y``; .npz has arrays
        of these names, with labels as numbers; .npy has the vectors alone.
        """
        names = [str(n) for n in self.names]
        xy = {} if self.projection is None else dict(
            zip(("projection_x", "projection_y"), self.projection.T, strict=True)
        )  # fmt: skip
        buffer = io.BytesIO()
        if Path(path).suffix == ".npy":
            np.save(buffer, self.vectors, allow_pickle=False)
        elif Path(path).suffix == ".npz":
            label = {} if self.labels is None else {"label": self.labels}
            np.savez(buffer, name=np.asarray(names), vector=self.vectors, **label, **xy)
        else:
            import pyarrow as pa
            from pyarrow import parquet

            flat = pa.array(np.ascontiguousarray(self.vectors, np.float32).reshape(-1))
            columns = {"name": names, "vector": pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])}
            if self.labels is not None:
                columns["label"] = [self.label_names[i] if i >= 0 else None for i in self.labels]
            parquet.write_table(pa.table(columns | xy), buffer)
        files.write_atomic(path, buffer.getvalue())


@checked
def embed(
    run: Model | str | Path, data: Any, *, out: str | Path | None = None, column: str | None = None,
    label: str | None = None, layer: str | None = None, dimensions: int | None = None, normalize: bool = True,
    project: str | None = None, prompt: str | None = None, cache: bool = True, precision: str | None = None,
    quiet: bool = False, console: Console | None = None,
) -> Embedded:  # fmt: skip
    """Embed data, and write the vectors as a table.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    data : path, array or Table
    out : path, optional
        File to write: .parquet, .npz or .npy. Without one nothing is written.
    column, label : str, optional
        Columns of the data: the one to embed, and the one that holds the labels.
    layer : {"features", "projection"}, optional
        By default the layer that the run keeps.
    dimensions : int, optional
        Only the first so many.
    normalize : bool
        Scale every vector to unit length.
    project : {"pca", "tsne", "umap"}, optional
        Also compute two coordinates a row.
    prompt : str, optional
        Name of a prompt of a pretrained model that is put before every text, such as "query".

    Returns
    -------
    Embedded

    Raises
    ------
    ConfigError, UnknownName
        `out` cannot be written; the model has no such prompt.
    DataError
        The data cannot be read.
    """
    console = of_call(console, quiet)
    if out is not None:
        tables.check_out(out, data, endings=ENDINGS)
    model, _ = loading.opened(run, cache=cache, precision=precision)
    model = model.cut(dimensions) if dimensions else model
    if prompt is not None:
        there = model.offer.prompts if is_pretrained(model) else {}
        if prompt not in there:
            raise UnknownName("prompt", prompt, there, where="--prompt")
        model = model.prompted(prompt)
    reading = {k: v for k, v in {"label": label, "data_column": column}.items() if v is not None}
    # Rows that cannot be read are named and skipped, however many they are: the table says which rows it has.
    table = model.read(data, max_bad=1.0, console=console, **reading)
    z = model.encode(table, layer=layer, normalize=normalize, console=console)
    made = Embedded(z, table.names, table.labels, table.label_names, layout(z, project) if project else None,
                    None if out is None else str(out), table.skipped)  # fmt: skip
    if out is not None:
        made.write(out)
    if table.skipped:
        console.warn(about_skipped(table.skipped))
    return made
