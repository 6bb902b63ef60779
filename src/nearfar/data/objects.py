"""Objects from Python: what each is, and how it becomes named columns. The table of it is in `docs/data.md`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import MODALITIES
from nearfar.data.inputs import NAMED
from nearfar.data.readers.arrays import of_arrays
from nearfar.data.readers.cells import BRING, column, is_a, opened, type_of
from nearfar.data.readers.raw import Raw, check_names, joined, of_arrow
from nearfar.data.readers.structure import SPLITS
from nearfar.data.single import is_cell, is_row, names_of, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

READ = (str, bytes, Path, int, float, list, dict, np.ndarray)  # the types of cells, beside pictures of Pillow
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # names of the columns that tuples are made of


def open_object(source: Any, modality: str | None = None, spec: Mapping[str, Any] | None = None) -> Raw:
    """Columns of cells of an object.

    Parameters
    ----------
    source : object
    modality : str, optional
        What is expected: a list of strings is one of texts or of paths.
    spec : mapping, optional
        How a trained model reads it, which tells one picture from several.

    Raises
    ------
    DataError
        It is nothing that is read.
    """
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
        return _of_items(source, modality, spec)
    if isinstance(source, tuple) and len(source) == 2 and not all(is_row(s, modality, spec) for s in source):
        return _labelled(*source, modality, spec)
    if is_cell(source) or (names_of(source) and set(names_of(source)) & set((spec or {}).get("names", ()))):
        return _of_rows([source], modality)
    found = opened(source)
    if isinstance(found, list):
        return _of_rows(found, modality, spec)
    return of_arrays({"x": rows_of(found, modality, spec, tensor=is_a(source, "torch", "Tensor"))}, "data")


def settled(source: Any) -> Any:
    """A list in place of an iterator, which could be read only once."""
    table = isinstance(source, io.IOBase) or hasattr(source, "__arrow_c_stream__")
    return list(source) if isinstance(source, Iterator) and not table else source


def _paths(modality: str | None) -> bool | None:
    """Whether strings are paths; None where their endings tell."""
    return {"image": True, "text": False}.get(modality or "")


def _refuse(source: Any) -> None:
    """Raise a `DataError` for what is no collection of rows, with what to bring instead."""
    kind, hint = type_of(source), BRING
    if isinstance(source, set | frozenset):
        message, hint = "a set has no order, so that vectors could not be told apart.", "Bring a list."
    elif is_a(source, "torch", "DataLoader"):
        message, hint = "a DataLoader gives batches in an order of its own.", "Bring its data set: loader.dataset."
    elif is_a(source, "scipy", "spmatrix", "sparray", "_spbase"):
        message, hint = (
            f"a sparse matrix ({source.shape[0]:,} × {source.shape[-1]:,}) is not read.",
            "X.toarray() makes it dense; sklearn.decomposition.TruncatedSVD makes it narrow.",
        )
    elif isinstance(source, io.IOBase) and not isinstance(source, io.BytesIO):
        message, hint = "an open file is not read.", "Bring its path."
    elif _has_rows(source):
        return
    else:
        message = f"an object of the type {kind} is not read."
    raise DataError(message, where="data", hint=hint)


def _has_rows(source: Any) -> bool:
    if is_a(source, "torch", "Dataset"):
        if not (hasattr(source, "__len__") or isinstance(source, Iterable)):
            raise DataError("a Dataset of torch without a length is not read.", where="data",
                            hint="Give it a method __len__, or bring a list of its items.")  # fmt: skip
        return True
    lazy = is_a(source, "pyarrow", "Dataset") or is_a(source, "polars", "LazyFrame")
    protocols = any(hasattr(source, p) for p in ("__array__", "__arrow_c_stream__"))
    return lazy or protocols or is_cell(source) or isinstance(source, Iterable)


# --- tables -------------------------------------------------------------------------------------------------------


def _of_library(source: Any) -> Raw | None:
    """Tables of `pandas`, `polars`, `pyarrow`, `datasets` and others that give Arrow; None for what is none."""
    import pyarrow as pa

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
        return _of_pandas(source)
    if is_a(source, "polars", "LazyFrame"):
        source = source.collect()
    if is_a(source, "polars", "DataFrame"):
        if {"Object", "Int128", "UInt128"} & set(map(str, source.dtypes)):  # which Arrow does not have
            return _of_columns({c: source[c] for c in source.columns}, None)
        source = source.to_arrow()
    if is_a(source, "pyarrow", "RecordBatch", "RecordBatchReader"):
        source = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source.read_all()
    if is_a(source, "pyarrow", "Dataset"):
        source = source.to_table()
    if not isinstance(source, pa.Table) and hasattr(source, "__arrow_c_stream__") and not _is_series(source):
        source = pa.table(source)
    return _of_table(source) if isinstance(source, pa.Table) else None


def _is_series(source: Any) -> bool:
    named = (("pandas", "Series", "Index"), ("polars", "Series"), ("pyarrow", "Array", "ChunkedArray"))
    return any(is_a(source, *names) for names in named)


def _of_table(table: pa.Table) -> Raw:
    return of_arrow(table, "data", Path(), ())


def _of_pandas(frame: Any) -> Raw:
    """A table of `pandas` by way of Arrow, or column by column where one holds pictures or other objects."""
    import pyarrow as pa

    names = [str(c) for c in frame.columns]
    check_names(names, "data")
    try:
        return _of_table(pa.Table.from_pandas(frame, preserve_index=False))
    except (pa.ArrowException, OverflowError, TypeError):  # long numbers, sparse columns
        return _of_columns({n: frame[c] for n, c in zip(names, frame.columns, strict=True)}, None)


# --- columns ------------------------------------------------------------------------------------------------------


def _of_mapping(source: Mapping[Any, Any], modality: str | None) -> Raw:
    """A dict of splits, or of columns."""
    splits = {k: SPLITS.get(str(k).lower()) for k in source}
    if source and all(splits.values()):
        return joined([(splits[k], open_object(v, modality)) for k, v in source.items()])
    held = next((k for k, s in splits.items() if s and _holds_columns(source[k])), None)
    if held is not None:
        other = next(k for k, s in splits.items() if not s)
        raise DataError(f"{other!r} is no name of a split, as {held!r} is.", where="data",
                        hint=f"Splits are named {', '.join(dict.fromkeys(SPLITS.values()))}.")  # fmt: skip
    return _of_columns(source, modality)


def _holds_columns(value: Any) -> bool:
    return isinstance(value, tuple | Mapping) or hasattr(value, "columns") or hasattr(value, "column_names")


def _of_columns(columns: Mapping[Any, Any], modality: str | None) -> Raw:
    """Named columns of equal length."""
    if not columns:
        raise DataError("there are no columns.", where="data", hint=BRING)
    paths = False if modality == "text" else None
    return of_arrays({str(k): column(settled(v), str(k), paths=paths) for k, v in columns.items()}, "data")


def _labelled(x: Any, y: Any, modality: str | None, spec: Mapping[str, Any] | None) -> Raw:
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

    Raises
    ------
    DataError
        It holds no labels, but numbers in several columns, texts, pictures or rows.
    """
    if isinstance(y, Mapping) or is_cell(y) or not (isinstance(y, Iterable) or hasattr(y, "__array__")):
        raise _no_labels(f"are of the type {type_of(y)}")
    labels = column(settled(y), "y", paths=False)
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if isinstance(labels, np.ndarray):
        if labels.ndim > 2:
            raise _no_labels(f"are numbers of shape {labels.shape}")
        labels = labels.astype(np.float64) if labels.dtype.kind == "f" else labels
    elif _are_sides(labels):
        raise _no_labels("are texts, pictures or rows")
    return labels


def _no_labels(what: str) -> DataError:
    return DataError(
        f"the labels, which are the second of a tuple of two, {what}; one a row is expected.", where="data",
        hint='Pairs are a list of tuples, as zip(x, y) gives them; splits are {"train": …, "test": …}.',
    )  # fmt: skip


def _are_sides(cells: list[Any]) -> bool:
    """Whether cells are something to embed, and not names of classes."""
    there = [c for c in cells if c is not None]
    if any(is_a(c, "PIL", "Image") or isinstance(c, np.ndarray | bytes | dict) for c in there):
        return True
    words = [c for c in there if isinstance(c, str)]
    return (
        len(words) == len(there) and MODALITIES.get("text").recognise(words) > 0.5 and 2 * len(set(words)) > len(words)
    )


# --- rows ---------------------------------------------------------------------------------------------------------


def _of_rows(rows: list[Any], modality: str | None, spec: Mapping[str, Any] | None = None) -> Raw:
    """A list of cells, of tuples or of dicts."""
    there = [r for r in rows if r is not None]
    if there and all(map(names_of, there)):
        rows = [None if r is None else dict(r.items()) for r in rows]
        there = [r for r in rows if r is not None]
    if there and all(isinstance(r, dict) and not _is_picture(r) for r in there):
        return _of_dicts(rows, modality)
    named = any(hasattr(r, "_fields") for r in there)
    if there and all(isinstance(r, tuple) for r in there) and (named or not all(map(_all_numbers, there))):
        return _of_tuples(rows, modality)
    cells = column(rows, paths=_paths(modality))
    if isinstance(cells, np.ndarray):
        return of_arrays({"x": rows_of(cells, modality, spec) if cells.ndim == 1 else cells}, "data")
    there = [c for c in cells if c is not None]
    if strange := [c for c in there if not (isinstance(c, READ) or is_a(c, "PIL", "Image"))]:
        raise DataError(f"the rows are of the type {type_of(strange[0])}, which is not read.", where="data", hint=BRING)
    if any(map(_may_be_picture, there)) and modality != "text":
        return Raw({"image": cells}, [str(c) if isinstance(c, Path) else f"row {i}" for i, c in enumerate(cells)])
    return of_arrays({"text" if any(isinstance(c, str | bytes) for c in there) else "x": cells}, "data")


def _may_be_picture(cell: Any) -> bool:
    if isinstance(cell, bytes):
        return b"\0" in cell[:200]  # as in no text
    return isinstance(cell, Path | dict) or is_a(cell, "PIL", "Image") or getattr(cell, "ndim", 0) in (2, 3)


def _is_picture(row: dict[Any, Any]) -> bool:
    """Whether a dict is a picture as `datasets` keeps it, and not a row of columns."""
    return bool(row) and set(row) <= {"bytes", "path"}


def _all_numbers(row: tuple[Any, ...]) -> bool:
    return all(v is None or (np.ndim(v) == 0 and isinstance(v, int | float | np.number)) for v in row)


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
    sides = [n for n, c in raw.columns.items() if not _is_flat(c)]
    if len(names) == 2 and sides == ["a"] and _whole(raw.columns["b"]):
        raw.columns, raw.label = {"x": raw.columns["a"], "y": raw.columns["b"]}, "y"
    elif len(names) == 2 and len(sides) == 2 and _are_classes(raw.columns["b"], raw.columns["a"]):
        raw.label = "b"
        raw.warnings += (
            "The second of each tuple is one of a few words: it is taken as the label of the first, unless "
            "column=('a', 'b') makes pairs of them.",
        )
    else:
        fit = [n for n in sides if modality is None or _is_of(raw.columns[n], modality)]
        raw.sides = tuple(fit) if len(sides) == 2 or len(fit) == 1 else ()
    return raw


def _is_of(cells: Any, modality: str) -> bool:
    sample = [c for c in cells[:32] if c is not None]
    return bool(sample) and MODALITIES.get(modality).recognise(sample) >= NAMED


def _is_flat(cells: Any) -> bool:
    """Whether a column is of single numbers."""
    return isinstance(cells, np.ndarray) and cells.ndim == 1


def _whole(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    return bool((known == np.round(known)).all())


def _are_classes(cells: Any, beside: Any) -> bool:
    """Whether strings are names of classes: single words that repeat, beside something that does not."""
    if not isinstance(cells, list) or not all(c is None or isinstance(c, str) for c in cells):
        return False
    words = [c for c in cells if c is not None]
    repeat = 2 * len(set(words)) <= len(words) and all(len(w.split()) < 2 for w in words)
    own = [c for c in beside if isinstance(c, str)] if isinstance(beside, list) else []
    return repeat and (not own or 2 * len(set(own)) > len(own))


def _of_items(source: Any, modality: str | None, spec: Mapping[str, Any] | None) -> Raw:
    """A data set of torch: the files of an ``ImageFolder``, else its items, read once."""
    if is_a(source, "torchvision", "ImageFolder") and source.target_transform is None and _reads_files(source):
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


def _reads_files(source: Any) -> bool:
    """Whether the items of an ``ImageFolder`` are its files as pictures, and nothing of the user's own."""
    home = next(c for c in type(source).__mro__ if c.__name__ == "DatasetFolder")
    return type(source).__getitem__ is home.__getitem__ and getattr(source.loader, "__name__", "") == "default_loader"
