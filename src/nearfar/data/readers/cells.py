"""Any collection from Python as one column: numbers as an array, all else as a list in which None is missing."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.readers.raw import EXACT, are_files

BRING = (
    "Bring a path, a list of texts, paths or pictures, an array of rows or pictures, a dict of columns, a table of "
    "pandas, polars, pyarrow or datasets, or a torch Dataset."
)


def is_a(value: Any, library: str, *names: str) -> bool:
    """Whether a value is of a class of these names in a library, which is not imported for it."""
    return any(c.__name__ in names and c.__module__.partition(".")[0] == library for c in type(value).__mro__)


def type_of(value: Any) -> str:
    """The name of a value's type, for messages."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def column(value: Any, where: str = "data", *, paths: bool | None = None) -> Any:
    """One column of a collection: numbers, also nested ones of one shape, as an array; anything else as a list.

    Strings are `paths`, by default where more than half are named as pictures or sounds are. Raises a `DataError`,
    which calls it `where`, for what is no collection, or one of what is not read, such as complex numbers.
    """
    values = opened(value, where)
    if isinstance(values, np.ndarray):
        return values
    cells = [_cell(v, where) for v in values]
    there = [c for c in cells if c is not None]
    if all(isinstance(c, Real | np.bool_) for c in there):
        return _numbers(cells, there) if there else cells
    if any(isinstance(c, str | Path) for c in there):
        paths = are_files([c for c in there if isinstance(c, str)]) if paths is None else paths
        cells = [None if isinstance(c, float) and c != c else c for c in cells]
        return [Path(c) if paths and isinstance(c, str) else c for c in cells]
    if len(there) == len(cells) and all(isinstance(c, list | np.ndarray) for c in cells):
        try:
            array = np.asarray(cells)
        except ValueError:  # of several shapes
            return cells
        return _narrowed(array) if array.dtype.kind in "biuf" else cells
    return cells


def opened(value: Any, where: str = "data") -> Any:
    """The rows of a collection: numbers as an array, all else as a list of what they are; see `column`."""
    if is_a(value, "pandas", "Series", "Index", "ExtensionArray"):
        plain = isinstance(value.dtype, np.dtype) and value.dtype != object
        value = value.to_numpy() if plain else np.asarray(value.astype(object)).tolist()
    elif is_a(value, "polars", "Series"):
        value = value.to_list()
    elif is_a(value, "pyarrow", "Array", "ChunkedArray"):
        value = value.to_pylist()
    elif is_a(value, "torch", "Tensor") or (not isinstance(value, list | tuple) and hasattr(value, "__array__")):
        value = _numpy(value, where)
    if isinstance(value, np.ma.MaskedArray):
        value = value.tolist() if value.ndim < 2 else value.astype(np.float64).filled(np.nan)
    if isinstance(value, np.ndarray):
        return _of_array(value, where)
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        raise DataError(f"is of the type {type_of(value)}, expected one value a row.", where=where,
                        hint="A single row is a list of one: [row].")  # fmt: skip
    return list(value)


def _numpy(value: Any, where: str) -> np.ndarray:
    """A tensor, or anything with ``__array__``, as an array."""
    if not is_a(value, "torch", "Tensor"):
        try:
            return np.asanyarray(value)
        except (TypeError, ValueError, RuntimeError) as e:
            raise DataError(f"the {type_of(value)} does not become an array ({e}).", where=where) from e
    try:
        value = value.detach().cpu()
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value.resolve_neg()).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as e:
        kind = f"{value.dtype}, {value.layout}"
        raise DataError(f"the tensor ({kind}) does not become an array.", where=where,
                        hint="Bring a dense one of plain numbers.") from e  # fmt: skip


def _of_array(array: np.ndarray, where: str) -> Any:
    kind = array.dtype.kind
    if array.ndim == 0:
        raise DataError(f"is a single value ({array.dtype}), expected one value a row.", where=where)
    if kind in "biuf":
        return _narrowed(array)
    if kind in "mM":
        return array.astype(f"{kind}8[us]").tolist()  # finer ones would become numbers
    if kind in "OUST" and array.ndim == 1:
        return array.tolist()
    if kind == "O":
        cells = [_cell(v, where) for v in array.ravel()]
        if all(c is None or isinstance(c, Real | np.bool_) for c in cells):
            return np.asarray([np.nan if c is None else c for c in cells], np.float64).reshape(array.shape)
    if kind in "OUST" and array.shape[1:] == (1,):
        return array[:, 0].tolist()
    held = "texts" if kind in "UST" else "Python objects" if kind == "O" else f"values of the type {array.dtype}"
    raise DataError(f"the array of shape {array.shape} holds {held}, expected numbers.", where=where,
                    hint="Bring a table or a dict, of which each column is of one kind.")  # fmt: skip


def _narrowed(array: np.ndarray) -> np.ndarray:
    """Numbers of no more than 64 bits, infinite where they are too large for that."""
    if array.dtype.itemsize <= 8:
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def _numbers(cells: list[Any], there: list[Any]) -> Any:
    """Numbers as an array; whole ones that would not stay exact in it as they are, in a list."""
    if all(isinstance(c, int) for c in there) and (
        max(map(abs, there)) > np.iinfo(np.int64).max or (len(there) < len(cells) and max(map(abs, there)) > EXACT)
    ):
        return cells
    filled = cells if len(there) == len(cells) else [np.nan if c is None else c for c in cells]
    try:
        array = np.asarray(filled)
    except OverflowError:
        array = np.asarray(filled, object)
    return _narrowed(array) if array.dtype != object else np.asarray([_float(c) for c in filled])


def _cell(value: Any, where: str) -> Any:
    """A cell as readers give it: None, text, bytes, a path, a number, a list, an array, a picture or a dict."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool, bytes):
        return value
    if kind.__name__ in ("NAType", "NaTType") or value is np.ma.masked:
        return None
    if isinstance(value, np.generic):
        return value.astype(f"{value.dtype.kind}8[us]").item() if value.dtype.kind in "mM" else value.item()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, io.BytesIO):
        return value.getvalue()
    if isinstance(value, os.PathLike):
        return Path(value)
    if isinstance(value, Decimal | Real):
        return _float(value)
    if isinstance(value, tuple):
        return list(value)
    if is_a(value, "PIL", "Image") or isinstance(value, str | bytes | dict | list):
        return value
    if hasattr(value, "as_py"):
        return value.as_py()
    return _inner(_numpy(value, where), where) if hasattr(value, "__array__") else value


def _float(value: Decimal | Real) -> float:
    """Infinite where it is too large for a float."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def _inner(array: np.ndarray, where: str) -> Any:
    """An array in a cell: a number, numbers, or a list of something else."""
    if array.ndim == 0:
        return _cell(array[()], where)
    array = array.astype(np.float64).filled(np.nan) if isinstance(array, np.ma.MaskedArray) else array
    if array.dtype.kind == "c":
        raise DataError("holds complex numbers, expected real ones.", where=where)
    return array if array.dtype.kind in "biuf" else array.tolist()
