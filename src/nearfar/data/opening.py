"""Which reader opens what people name: a path, a pattern of paths, a hub name, or objects from Python."""

from __future__ import annotations

import re
from glob import glob
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data import folders, structure
from nearfar.data.raw import IMAGE_ENDINGS, Raw, joined, of_arrow
from nearfar.data.structure import SPLITS
from nearfar.errors import DataError
from nearfar.registry import READERS

SHARDS = 1_000_000  # more names than this are no list of files but a slip of the keyboard


def open_source(source: Any, *, stream: bool = False, modality: str | None = None) -> Raw:
    """Columns of cells that are not decoded yet.

    Parameters
    ----------
    source : path, pattern, hub name, array, dict or list
    stream : bool
        Read from the hub as needed, instead of downloading first.
    modality : str, optional
        What is expected: a list of strings is one of texts or of paths.

    Raises
    ------
    DataError
        There is no such thing, or it holds nothing that is read.
    """
    return _open_path(source, stream) if isinstance(source, str | Path) else _open_python(source, modality)


def _open_path(source: str | Path, stream: bool) -> Raw:
    path, text = Path(source).expanduser(), str(source)
    if path.exists():
        return _open_existing(path, text)
    if files := expanded(str(path)):
        return _open_several(files)
    if text.startswith("hf:") or (text.count("/") == 1 and not text.startswith((".", "/", "~")) and " " not in text):
        if not text.startswith("hf:") and Path(text).parent.exists():
            raise _missing(path)
        from nearfar.data.hub import open_hub

        return open_hub(text, stream=stream)
    raise _missing(path)


def _open_several(files: list[Path]) -> Raw:
    """Files that a pattern names: splits by their names and folders, as in a folder."""
    shared = structure.shared(f.parts[:-1] for f in files)  # folders that the pattern does not vary say nothing
    places = [(*f.parts[shared:-1], f.stem) for f in files]
    found = structure.find(places)
    splits = [found.of(p) if found else None for p in places]
    parts = [(s, _open_existing(f, str(f))) for s, f in zip(splits, files, strict=True)]
    if found is None or "train" not in splits:
        return joined(parts)
    raw = joined([(s, part) for s, part in parts if s])
    if left := [f"{f.name} ({len(part):,} rows)" for f, (s, part) in zip(files, parts, strict=True) if not s]:
        raw.warnings += (f"Left out: {structure.listed(left)}; only what is named after a split is read.",)
    return raw


def _open_existing(path: Path, text: str) -> Raw:
    folders.listing.cache_clear()
    try:
        if path.is_dir() and not any(path.iterdir()):
            raise DataError("the folder is empty.", where=text)
        readers, own = {r: READERS.get(r) for r in READERS}, READERS.plugged()
        for _, reader in sorted(readers.items(), key=lambda r: getattr(r[1], "RANK", -1 if r[0] in own else 5)):
            if reader.recognises(path):
                return reader.open(path)
    except PermissionError as e:
        raise DataError("may not be read (permission).", where=str(e.filename or text)) from e
    finally:
        folders.listing.cache_clear()
    if path.is_file():
        return Raw({"image": [path]}, [path.name], files=(path,))
    raise DataError(
        "holds nothing that is read: no pictures, text, CSV, JSON lines, Parquet, npz, npy, tar or saved data set.",
        where=text,
    )


def expanded(pattern: str) -> list[Path]:
    """The files that a pattern names, in order: ``train-{000..009}.tar``, ``{a,b}.parquet``, ``*.tar``.

    Raises
    ------
    DataError
        A file of a written-out list is missing: a shard that is left out would be left out silently.
    """
    if not set("{*?[") & set(pattern):
        return []
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if np.prod([float(len(c)) for c in choices]) > SHARDS:
        raise DataError(f"names more than {SHARDS:,} files.", where=pattern)
    found: list[Path] = []
    for name in map("".join, product(*choices)):
        files = sorted(glob(name)) if set("*?[") & set(name) else [name]
        missing = [f for f in files if not Path(f).exists()]
        if missing:
            raise DataError("there is no such file.", where=missing[0], hint=f"It is one of {pattern}.")
        found += map(Path, files)
    return found


def _choices(inside: str) -> list[str]:
    """What stands between braces: ``000..009`` counts with its zeros, ``a,b`` lists."""
    if (span := re.fullmatch(r"(\d+)\.\.(\d+)", inside)) is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    if last - first >= SHARDS:
        raise DataError(f"names more than {SHARDS:,} files.", where="{" + inside + "}")
    return [str(i).zfill(len(span[1])) for i in range(first, last + 1)]


def _missing(path: Path) -> DataError:
    from nearfar.errors import nearest

    near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else []
    hint = (
        f"Did you mean {' or '.join(repr(n) for n in near)}?"
        if near
        else "See `nearfar train --help` for what is read."
    )
    return DataError("there is no such file or folder.", where=str(path), hint=hint)


def _open_python(source: Any, modality: str | None = None) -> Raw:
    from nearfar.data.readers.arrays import of_arrays

    if isinstance(source, Raw):
        return source
    if (raw := _of_library(source)) is not None:
        return raw
    if isinstance(source, dict) and source and all(str(k).lower() in SPLITS for k in source):
        return joined([(SPLITS[str(k).lower()], _open_python(v, modality)) for k, v in source.items()])
    if isinstance(source, dict):
        return of_arrays({str(k): _array(v) for k, v in source.items()}, "data")
    if isinstance(source, tuple) and len(source) == 2:
        return of_arrays({"x": _array(source[0]), "y": _array(source[1])}, "data")
    if _texts(source) and modality != "image" and (modality == "text" or not _paths(source)):
        return of_arrays({"text": list(source)}, "data")
    if isinstance(source, list | tuple) and source and not isinstance(source[0], int | float | list | np.ndarray):
        return _cells([Path(c) if isinstance(c, str) else c for c in source])
    if isinstance(source, list | tuple) and len({np.shape(a) for a in source if isinstance(a, np.ndarray)}) > 1:
        return _cells(list(source))  # pictures of several sizes
    return of_arrays({"x": _array(source)}, "data")


def _of_library(source: Any) -> Raw | None:
    """Tables of `pandas`, `pyarrow` and `datasets`; None for what is none."""
    import pyarrow as pa

    library = type(source).__module__.partition(".")[0]
    if library == "pandas" and hasattr(source, "columns"):
        source = pa.Table.from_pandas(source, preserve_index=False)
    if isinstance(source, pa.Table):
        return of_arrow(source, "data", Path(), ())
    if library == "datasets":
        from nearfar.data.readers.saved import of_datasets

        return of_datasets(source, "data")
    return None


def _texts(value: Any) -> bool:
    """Whether a list holds strings, between which some may be missing."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "UT"
    return (
        isinstance(value, list | tuple) and bool(value) and all(v is None or isinstance(v, str | bytes) for v in value)
    )


def _paths(value: list[Any]) -> bool:
    """Whether all strings of a list name pictures."""
    return all(isinstance(v, str) and v.lower().endswith(IMAGE_ENDINGS) for v in value)


def _cells(cells: list[Any]) -> Raw:
    names = [str(c) if isinstance(c, Path) else f"row {i}" for i, c in enumerate(cells)]
    return Raw({"image": cells}, names)


def _array(value: Any) -> Any:
    """Numbers as an array; strings as they are, in a list."""
    if _texts(value) or (isinstance(value, list | tuple) and any(isinstance(v, str | Path) for v in value)):
        return [Path(v) if isinstance(v, str) and _paths([v]) else v for v in value]
    if isinstance(value, list | tuple) and any(isinstance(v, list | tuple) and _texts(v) for v in value):
        return list(value)  # several texts a row
    if isinstance(value, list | tuple) and any(v is None for v in value) and any(np.ndim(v) for v in value):
        return list(value)  # rows of numbers, or pictures, of which some are missing
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if isinstance(value, list | tuple) and any(v is None for v in value):
        value = [np.nan if v is None else v for v in value]
    array = np.asarray(value)
    if array.dtype == object:
        raise DataError("the array holds Python objects, expected numbers.", where="data")
    return array


def name_of(source: Any) -> str:
    """What messages call it."""
    return str(source) if isinstance(source, str | Path) else "data"
