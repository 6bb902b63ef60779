"""Objects from Python: what each is, and how it becomes named columns. The table of it is in `docs/data.md`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfar.core.errors import DataError
from nearfar.core.registry import MODALITIES
from nearfar.data.inputs import LOOKED_AT, NAMED, modality_of
from nearfar.data.readers.arrays import of_arrays
from nearfar.data.readers.cells import BRING, column, is_a, opened, type_of
from nearfar.data.readers.raw import Raw, check_names, joined, of_arrow
from nearfar.data.readers.structure import SPLITS

READ = (str, bytes, Path, int, float, list, dict, np.ndarray)  # the types of cells, beside pictures of Pillow
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # names of the columns that tuples are made of
CELL = {"bytes", "path", "array", "sampling_rate"}  # keys of a picture or a sound as `datasets` keeps it
RATES = {8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000}  # of sounds, in samples per second
CHANNELS = (1, 3, 4)  # of an array that is one picture (height, width, channels)

Spec = Mapping[str, Any] | None


def open_object(source: Any, modality: str | None = None, spec: Spec = None) -> Raw:
    """Columns of cells of an object; see `nearfar.data.opening.open_source`."""
    source = settled(source)
    if isinstance(source, Raw):
        return source
    _refuse(source)
    if (raw := _of_library(source)) is not None:
        return raw
    if isinstance(source, Mapping):
        return _of_mapping(source, modality)
    if isinstance(source, np.ndarray) and source.dtype.names:
        return _of_columns({n: source[n] for n in source.dtype.names}, modality)
    if is_a(source, "torch", "Dataset"):
        return _of_items(source, modality)
    if _is_sound(source, modality):
        return _of_rows([source], modality)
    if isinstance(source, tuple) and len(source) == 2 and not all(_is_row(s, modality, spec) for s in source):
        return _labelled(*source, modality, spec)
    if _is_cell(source) or (set(_names_of(source)) & set((spec or {}).get("names", ()))):
        return _of_rows([source], modality)
    rows = opened(source)
    if isinstance(rows, list):
        return _of_rows(rows, modality, spec)
    return of_arrays({"x": rows_of(rows, modality, spec, tensor=is_a(source, "torch", "Tensor"))}, "data")


def settled(source: Any) -> Any:
    """A list in place of an iterator, which could be read only once."""
    table = isinstance(source, io.IOBase) or hasattr(source, "__arrow_c_stream__")
    return list(source) if isinstance(source, Iterator) and not table else source


def _refuse(source: Any) -> None:
    """Raise a `DataError` for what is no collection of rows, with what to bring instead."""
    hint, arrays = BRING, hasattr(source, "__array__") or hasattr(source, "__arrow_c_stream__")
    if isinstance(source, set | frozenset):
        message, hint = "a set has no order, so that vectors could not be told apart.", "Bring a list."
    elif is_a(source, "torch", "DataLoader"):
        message, hint = "a DataLoader gives batches in an order of its own.", "Bring its data set: loader.dataset."
    elif is_a(source, "scipy", "spmatrix", "sparray", "_spbase"):
        message = f"a sparse matrix ({source.shape[0]:,} × {source.shape[-1]:,}) is not read."
        hint = "X.toarray() makes it dense; sklearn.decomposition.TruncatedSVD makes it narrow."
    elif isinstance(source, io.IOBase) and not isinstance(source, io.BytesIO):
        message, hint = "an open file is not read.", "Bring its path."
    elif isinstance(source, Iterable) or _is_cell(source):
        return
    elif is_a(source, "torch", "Dataset"):
        if hasattr(source, "__len__"):
            return
        message = "a Dataset of torch without a length is not read."
        hint = "Give it a method __len__, or bring a list of its items."
    elif is_a(source, "pyarrow", "Dataset") or is_a(source, "polars", "LazyFrame") or arrays:
        return
    else:
        message = f"an object of the type {type_of(source)} is not read."
    raise DataError(message, where="data", hint=hint)


# --- one row or many ----------------------------------------------------------------------------------------------


def _is_cell(value: Any) -> bool:
    """Whether an object is a single cell: a text, a picture, its bytes or its path."""
    return isinstance(value, str | bytes | bytearray | memoryview | io.BytesIO | Path) or is_a(value, "PIL", "Image")


def _names_of(value: Any) -> list[str]:
    """The names of the values of a row of a table of pandas, which is a Series; none where these are no texts."""
    names = list(value.index) if is_a(value, "pandas", "Series") else []
    return names if all(isinstance(n, str) for n in names) else []


def _is_row(value: Any, modality: str | None, spec: Spec) -> bool:
    """Whether an element of a tuple is a row by itself, and not a column."""
    if _is_cell(value) or not isinstance(value, Iterable):
        return value is not None
    shape = getattr(value, "shape", None)
    if modality == "image":
        return shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS))
    return modality == "vector" and shape is not None and spec is not None and tuple(shape) == (spec["features"],)


def rows_of(array: np.ndarray, modality: str | None, spec: Spec, *, tensor: bool = False) -> np.ndarray:
    """An array with an axis of rows: one picture, or one row of numbers, becomes the only row.

    Raises a `DataError` where it is one picture and many rows are needed, or may as well be one as several.
    """
    shape, spec = array.shape, spec or {}
    if modality == "vector" and array.ndim == 1 and "features" in spec and spec["features"] != 1:
        if len(array) == spec["features"]:
            return array[None]
        raise DataError(f"the array of shape {shape} is not a row of {spec['features']} numbers.", where="data",
                        hint=f"Bring rows as an array of shape (N, {spec['features']}).")  # fmt: skip
    if modality in ("image", "series") and array.ndim == 2:
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
        raise DataError(f"an array of shape {shape} may be one picture of three channels or three grey ones.",
                        where="data", hint="Pass x[None] for one, x[..., None] for three.")  # fmt: skip
    return array[None]


# --- tables -------------------------------------------------------------------------------------------------------


def _of_library(source: Any) -> Raw | None:
    """Tables of `pandas`, `polars`, `pyarrow`, `datasets` and others that give Arrow; None for what is none."""
    if is_a(source, "datasets", "Dataset", "DatasetDict"):
        from nearfar.data.readers.saved import of_datasets

        return of_datasets(source, "data")
    if is_a(source, "datasets", "IterableDatasetDict"):
        return _of_mapping(source, None)
    if is_a(source, "datasets", "IterableDataset"):
        raw = _of_dicts(list(source), None)
        raw.classes = {k: list(f.names) for k, f in (source.features or {}).items() if getattr(f, "names", None)}
        return raw
    if is_a(source, "pandas", "DataFrame"):
        names = [str(c) for c in source.columns]
        check_names(names, "data")
        try:
            return of_arrow(pa.Table.from_pandas(source, preserve_index=False), "data", Path())
        except (pa.ArrowException, OverflowError, TypeError):  # pictures, other objects, long numbers, sparse columns
            return _of_columns({n: source[c] for n, c in zip(names, source.columns, strict=True)}, None)
    if is_a(source, "polars", "LazyFrame"):
        source = source.collect()
    if is_a(source, "polars", "DataFrame"):
        if {"Object", "Int128", "UInt128"} & set(map(str, source.dtypes)):  # which Arrow does not have
            return _of_columns({c: source[c] for c in source.columns}, None)
        source = source.to_arrow()
    elif is_a(source, "pyarrow", "Dataset"):
        source = source.to_table()
    elif isinstance(source, pa.RecordBatch | pa.RecordBatchReader):
        source = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source.read_all()
    series = (("pandas", "Series", "Index"), ("polars", "Series"), ("pyarrow", "Array", "ChunkedArray", "Table"))
    if hasattr(source, "__arrow_c_stream__") and not any(is_a(source, *names) for names in series):
        source = pa.table(source)
    return of_arrow(source, "data", Path()) if isinstance(source, pa.Table) else None


# --- columns ------------------------------------------------------------------------------------------------------


def _of_mapping(source: Mapping[Any, Any], modality: str | None) -> Raw:
    """A dict of splits, or of columns."""
    splits = {k: SPLITS.get(str(k).lower()) for k in source}
    if source and all(splits.values()):
        return joined([(splits[k], open_object(v, modality)) for k, v in source.items()])
    for k, v in source.items():
        columns = isinstance(v, tuple | Mapping) or hasattr(v, "columns") or hasattr(v, "column_names")
        if splits[k] and columns:
            other = next(k for k, s in splits.items() if not s)
            raise DataError(f"{other!r} is not the name of a split, as {k!r} is.", where="data",
                            hint=f"Splits are named {', '.join(dict.fromkeys(SPLITS.values()))}.")  # fmt: skip
    return _of_columns(source, modality)


def _of_columns(columns: Mapping[Any, Any], modality: str | None) -> Raw:
    """Named columns of equal length."""
    if not columns:
        raise DataError("there are no columns.", where="data", hint=BRING)
    paths = False if modality == "text" else None
    return of_arrays({str(k): column(settled(v), str(k), paths=paths) for k, v in columns.items()}, "data")


def _labelled(x: Any, y: Any, modality: str | None, spec: Spec) -> Raw:
    """Rows and their labels, as scikit-learn takes them."""
    raw = open_object(x, modality, spec)
    if y is None:
        return raw
    labels = labels_of(y)
    if len(labels) != len(raw):
        raise DataError(f"the arrays have different lengths: {len(raw):,} rows and {len(labels):,} labels.",
                        where="data")  # fmt: skip
    if "y" in raw.columns:
        raise DataError("the rows have a column 'y' of their own, beside the labels.", where="data")
    raw.columns["y"], raw.label = labels, "y"
    return raw


def labels_of(y: Any) -> Any:
    """One label a row, as an array or a list; None or NaN where it is missing.

    Raises a `DataError` where it holds no labels, but numbers in several columns, texts, pictures or rows.
    """
    labels, held = None, None
    if isinstance(y, Mapping) or _is_cell(y) or not (isinstance(y, Iterable) or hasattr(y, "__array__")):
        held = f"are of the type {type_of(y)}"
    elif isinstance(labels := column(settled(y), "y", paths=False), np.ndarray):
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        labels = labels.astype(np.float64) if labels.dtype.kind == "f" else labels
        held = f"are numbers of shape {labels.shape}" if labels.ndim > 2 else None
    else:
        there = [c for c in labels if c is not None]
        words = [c for c in there if isinstance(c, str)]
        rows = any(is_a(c, "PIL", "Image") or isinstance(c, np.ndarray | bytes | dict) for c in there)
        all_texts = len(words) == len(there) and MODALITIES.get("text").recognise(words) > 0.5
        if rows or (all_texts and 2 * len(set(words)) > len(words)):  # names of classes repeat
            held = "are texts, pictures or rows"
    if held:
        raise DataError(
            f"the labels, which are the second of a tuple of two, {held}; one a row is expected.", where="data",
            hint='Pairs are a list of tuples, as zip(x, y) gives them; splits are {"train": …, "test": …}.',
        )  # fmt: skip
    return labels


# --- rows ---------------------------------------------------------------------------------------------------------


def _of_rows(rows: list[Any], modality: str | None, spec: Spec = None) -> Raw:
    """A list of cells, of tuples or of dicts."""
    there = [r for r in rows if r is not None]
    if there and all(map(_names_of, there)):
        rows = [None if r is None else dict(r.items()) for r in rows]
        there = [r for r in rows if r is not None]
    # A dict of bytes and path is a picture or a sound as `datasets` keeps it, one of array and sampling_rate a sound.
    if there and all(isinstance(r, dict) and not (r and set(r) <= CELL) for r in there):
        return _of_dicts(rows, modality)
    if there and all(_is_sound(r, modality) for r in there):
        return Raw({"sound": rows}, [f"row {i}" for i in range(len(rows))])
    if there and all(isinstance(r, tuple) for r in there):
        values = (v for r in there for v in r if v is not None)
        numbers = all(np.ndim(v) == 0 and isinstance(v, int | float | np.number) for v in values)
        if not numbers or any(hasattr(r, "_fields") for r in there):
            return _of_tuples(rows, modality)
    cells = column(rows, paths={"image": True, "sound": True, "text": False}.get(modality or ""))
    if isinstance(cells, np.ndarray):
        return of_arrays({"x": rows_of(cells, modality, spec) if cells.ndim == 1 else cells}, "data")
    there = [c for c in cells if c is not None]
    if strange := [c for c in there if not (isinstance(c, READ) or is_a(c, "PIL", "Image"))]:
        raise DataError(f"the rows are of the type {type_of(strange[0])}, which is not read.", where="data", hint=BRING)
    if modality != "text" and any(map(_may_be_picture, there)):
        name = modality_of(there[:LOOKED_AT], modality, 0)
        return Raw({name: cells}, [str(c) if isinstance(c, Path) else f"row {i}" for i, c in enumerate(cells)])
    return of_arrays({"text" if any(isinstance(c, str | bytes) for c in there) else "x": cells}, "data")


def _is_sound(row: Any, modality: str | None) -> bool:
    """Whether a tuple is a sound: samples and a rate that sounds have, where a label would be."""
    if not isinstance(row, tuple) or len(row) != 2 or not isinstance(row[1], int | np.integer):
        return False
    sound = isinstance(row[0], np.ndarray) and row[0].ndim in (1, 2)
    return sound and (modality == "sound" or (modality is None and int(row[1]) in RATES))


def _may_be_picture(cell: Any) -> bool:
    if isinstance(cell, bytes):
        return b"\0" in cell[:200]  # as in no text
    return isinstance(cell, Path | dict) or is_a(cell, "PIL", "Image") or getattr(cell, "ndim", 0) in (2, 3)


def _of_dicts(rows: list[Any], modality: str | None) -> Raw:
    """Rows as dicts; what a row lacks is missing."""
    names = list(dict.fromkeys(k for r in rows if r for k in r))
    return _of_columns({n: [(r or {}).get(n) for r in rows] for n in names}, modality)


def _of_tuples(rows: list[Any], modality: str | None) -> Raw:
    """Rows as tuples: their columns are a, b, …; of two the second may be the label.

    Two columns that are no numbers are the sides of a pair.
    """
    first = next(r for r in rows if r is not None)
    if len(sizes := {len(r) for r in rows if r is not None}) > 1 or not first or len(first) > len(LETTERS):
        raise DataError(f"the rows are tuples of {' and '.join(map(str, sorted(sizes)))} values.", where="data",
                        hint="Bring tuples of one length.")  # fmt: skip
    if len(first) == 1:
        return _of_rows([None if r is None else r[0] for r in rows], modality)
    names = getattr(first, "_fields", tuple(LETTERS[: len(first)]))
    raw = _of_columns({n: [None if r is None else r[i] for r in rows] for i, n in enumerate(names)}, modality)
    if hasattr(first, "_fields"):
        return raw
    sides = [n for n, c in raw.columns.items() if not (isinstance(c, np.ndarray) and c.ndim == 1)]
    if len(names) == 2 and sides == ["a"]:
        numbers = raw.columns["b"][np.isfinite(raw.columns["b"])]
        if (numbers == np.round(numbers)).all():
            raw.columns, raw.label = {"x": raw.columns["a"], "y": raw.columns["b"]}, "y"
            return raw
    if len(names) == 2 and len(sides) == 2 and _are_classes(raw.columns["b"], raw.columns["a"]):
        raw.label = "b"
        raw.warnings += (
            "The second of each tuple is one of a few words: it is taken as the label of the first, unless "
            "column=('a', 'b') makes pairs of them.",
        )
        return raw
    samples = {n: [c for c in raw.columns[n][:32] if c is not None] for n in sides}
    if modality is not None:
        recognise = MODALITIES.get(modality).recognise
        samples = {n: cells for n, cells in samples.items() if cells and recognise(cells) >= NAMED}
    raw.sides = tuple(samples) if len(sides) == 2 or len(samples) == 1 else ()
    return raw


def _are_classes(cells: Any, beside: Any) -> bool:
    """Whether strings are names of classes: single words that repeat, beside something that does not."""
    if not isinstance(cells, list) or not all(c is None or isinstance(c, str) for c in cells):
        return False
    words = [c for c in cells if c is not None]
    repeat = 2 * len(set(words)) <= len(words) and all(len(w.split()) < 2 for w in words)
    own = [c for c in beside if isinstance(c, str)] if isinstance(beside, list) else []
    return repeat and (not own or 2 * len(set(own)) > len(own))


def _of_items(source: Any, modality: str | None) -> Raw:
    """A data set of torch: the files of an ``ImageFolder`` that reads them as usual, else its items, read once."""
    if is_a(source, "torchvision", "ImageFolder") and source.target_transform is None:
        home = next(c for c in type(source).__mro__ if c.__name__ == "DatasetFolder")
        loads = getattr(source.loader, "__name__", "")
        if type(source).__getitem__ is home.__getitem__ and loads == "default_loader":
            cells, labels = [Path(p) for p, _ in source.samples], np.asarray([y for _, y in source.samples], np.int64)
            raw = Raw({"image": cells, "label": labels}, [str(c) for c in cells], label="label")
            raw.classes = {"label": list(source.classes)}
            return raw
    try:
        items = [source[i] for i in range(len(source))] if hasattr(source, "__len__") else list(source)
    except Exception as e:  # whatever the code of a user raises
        raise DataError(f"an item of the {type_of(source)} cannot be read: {type(e).__name__}: {e}.",
                        where="data") from e  # fmt: skip
    raw = _of_rows(items, modality)
    home = getattr(source, "dataset", source)  # of a Subset
    names = getattr(home, "classes", None)
    if raw.label and isinstance(names, list) and getattr(home, "target_transform", None) is None:
        raw.classes = {raw.label: [str(n) for n in names]}
    return raw
