"""One row or many: what a single cell is, and which arrays are one row of a model."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.readers.cells import is_a

if TYPE_CHECKING:
    from nearfar.data.table import Table

CHANNELS = (1, 3, 4)  # of an array that is one picture (height, width, channels)


def is_cell(value: Any) -> bool:
    """Whether an object is a single cell: a text, a picture, its bytes or its path."""
    return isinstance(value, str | bytes | bytearray | memoryview | io.BytesIO | Path) or is_a(value, "PIL", "Image")


def names_of(value: Any) -> list[str]:
    """The names of the values of a row of a table of pandas, which is a Series; none where these are no texts."""
    names = list(value.index) if is_a(value, "pandas", "Series") else []
    return names if all(isinstance(n, str) for n in names) else []


def is_row(value: Any, modality: str | None, spec: Mapping[str, Any] | None) -> bool:
    """Whether an element of a tuple is a row by itself, and not a column."""
    if is_cell(value) or not isinstance(value, Iterable):
        return value is not None
    shape = getattr(value, "shape", None)
    if modality == "image":
        return shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS))
    return modality == "vector" and shape is not None and spec is not None and tuple(shape) == (spec["features"],)


def rows_of(
    array: np.ndarray, modality: str | None, spec: Mapping[str, Any] | None, *, tensor: bool = False
) -> np.ndarray:
    """An array with an axis of rows: one picture, or one row of numbers, becomes the only row.

    Raises
    ------
    DataError
        It is one picture where many rows are needed, or may as well be one as several.
    """
    shape, spec = array.shape, spec or {}
    if modality == "vector" and array.ndim == 1 and "features" in spec and spec["features"] != 1:
        if len(array) == spec["features"]:
            return array[None]
        raise DataError(f"the array of shape {shape} is no row of {spec['features']} numbers.", where="data",
                        hint=f"Bring rows as an array of shape (N, {spec['features']}).")  # fmt: skip
    if modality == "image" and array.ndim == 2:
        return array[None]
    if array.ndim != 3 or modality not in ("image", None):
        return array
    own = spec.get("channels", 1)
    if (shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS)) or (own > 1 and shape[2] == own):
        if modality is None:
            raise DataError(f"an array of shape {shape} is one picture (height, width, channels).", where="data",
                            hint="Many have the shape (N, height, width, channels).")  # fmt: skip
        return array[None]
    if own == 1 or shape[0] != own:
        return array
    if own == 3 and not tensor:
        raise DataError(
            f"an array of shape {shape} may be one picture of three channels or three grey ones.", where="data",
            hint="Say x[None] for one, x[..., None] for three.",
        )  # fmt: skip
    return array[None]


def one_at_a_time(table: Table, inputs: Any) -> None:
    """Raise a `DataError` where rows that were read to be encoded have several columns; a `Table` is taken as it is."""
    if len(table.columns) > 1 and table is not inputs:
        raise DataError(
            f"a row has several columns ({', '.join(table.columns)}), and one is encoded at a time.",
            hint="Say which with column=, or bring it alone.",
        )
