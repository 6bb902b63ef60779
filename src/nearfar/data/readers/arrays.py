"""NumPy's ``.npz`` and ``.npy``: arrays of equal length, never pickled objects.

An ``.npz`` is read whole; an ``.npy`` stays on disk, memory-mapped.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.readers import folders, structure
from nearfar.data.readers._files import damage
from nearfar.data.readers.cells import opened
from nearfar.data.readers.raw import Numbered, Raw, joined

LIMIT = 16 * 2**30  # bytes that the arrays may declare
PART = 2**24  # bytes read at once
VERSIONS = ((1, 0), (2, 0), (3, 0))  # of npy; the last two differ by the alphabet of names of fields
PLAIN = "Save plain arrays, as numpy.save and numpy.savez write them."
ENDINGS = (".npz", ".npy")
LABELS = ("y", "label", "labels", "target")
CLASSES = ("classes", "class_names", "label_names")
SERIES = "X"  # what the archives of time series call an array (rows, channels, steps)

RANK = 1  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file of either kind, or a folder of ``.npz`` named after splits, or of ``.npy`` named as in an ``.npz``."""
    return any(folders.recognised(path, (e,)) for e in ENDINGS)


def open(path: Path) -> Raw:
    """Arrays ``x`` and ``y``, or any others whose lengths agree; ``x_train``, ``y_test`` … are split by their names."""
    if path.is_file() or folders.chosen(path, ENDINGS[:1]):
        return folders.opened(path, ENDINGS[:1], _opened)
    return folders.with_rest(_together(path), path, ENDINGS[1:])


def _opened(path: Path, name: str) -> Raw:
    arrays = {"x": _mapped(path)} if path.suffix.lower() == ".npy" else _arrays(path)
    return of_arrays(_plain(arrays, path), name, (path,))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with damage(path, "npz", PLAIN), zipfile.ZipFile(path) as z:
        members = {m.filename.removesuffix(".npy"): m for m in z.infolist()}
        if not members or len(members) < len(z.infolist()):
            raise DataError("holds two arrays of one name." if members else "holds no arrays.", where=str(path))
        # A few bytes of an archive may declare any size: no more is taken than the machine has.
        sizes = ("SC_PHYS_PAGES", "SC_PAGE_SIZE") if hasattr(os, "sysconf") else ()
        room = min(LIMIT, math.prod(map(os.sysconf, sizes))) if sizes else LIMIT
        declared = sum(m.file_size for m in members.values())
        if declared > room:
            raise DataError(f"says that it holds {declared / 2**30:,.1f} GiB, and {room / 2**30:,.1f} GiB "
                            "are opened at most.", where=str(path), hint="Save each array as npy.")  # fmt: skip
        return {name: _member(z, m) for name, m in members.items()}


def _plain(arrays: dict[str, np.ndarray], path: Path) -> dict[str, Any]:
    """Fields of records as arrays of their own; dates and texts as cells, as from Python."""
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        fields = {n: array[n] for n in array.dtype.names} if array.dtype.names else {name: array}
        if twice := next((n for n in fields if n in columns), None):
            raise DataError(f"holds two arrays named {twice!r}.", where=str(path))
        for n, a in fields.items():
            plain = a.dtype.kind in "biuf" and a.dtype.itemsize <= 8 and a.ndim
            columns[n] = a if plain else opened(a, f"{path}: {n}")
    return columns


def _together(path: Path) -> Raw:
    """The ``.npy`` of a folder, or of each of several split folders, as one ``.npz`` would hold them."""
    around: dict[tuple[str, ...], list[tuple[str | None, Path]]] = {}
    for split, place in folders.chosen(path, ENDINGS[1:]):
        around.setdefault(place[:-1], []).append((split, path.joinpath(*place)))
    parts = []
    for place, own in around.items():
        if all(structure.split_of(f.stem) for _, f in own):
            parts += [(split, _opened(f, "/".join((*place, f.name)))) for split, f in own]
            continue
        splits, files = {f.stem: s for s, f in own if s}, tuple(f for _, f in own)
        splits = splits if len(set(splits.values())) > 1 else {}
        arrays = _plain({f.stem: _mapped(f) for f in files}, path)
        raw = of_arrays(arrays, "/".join(place) or path.name, files, splits)
        parts.append((None if raw.splits else own[0][0], raw))
    return joined(parts)


def _mapped(path: Path) -> np.ndarray:
    """The array of an ``.npy``, memory-mapped."""
    with damage(path, "npy", PLAIN), path.open("rb") as f:
        shape, order, dtype = _header(f, path.stat().st_size)
        if not math.prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(f, dtype, "r", f.tell(), shape, order)


def _member(z: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with damage(Path(f"{z.filename}: {member.filename}"), "npy", PLAIN), z.open(member) as f:
        shape, order, dtype = _header(f, member.file_size)
        content = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
        for at in range(0, len(content), PART):  # to the end, where the checksum is looked at
            content[at : at + PART] = np.frombuffer(f.read(PART), np.uint8)
        return content.view(dtype).reshape(shape, order=order)


def _header(f: IO[bytes], size: int) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Shape, order and type of the array that follows; raises a `ValueError` unless just that follows."""
    version = np.lib.format.read_magic(f)
    if version not in VERSIONS:
        raise ValueError(f"its version {version[0]}.{version[1]} is unknown")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 wrote it
        shape, fortran, dtype = read(f)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run code")
    if any(type(n) is not int or not 0 <= n <= sys.maxsize for n in shape):
        raise ValueError(f"its shape is {shape}")
    declared, there = math.prod(shape) * dtype.itemsize, size - f.tell()
    if declared != there:
        raise ValueError(f"its header declares {declared:,} bytes of the shape {shape}, and {there:,} follow")
    return shape, "F" if fortran else "C", dtype


def of_arrays(
    arrays: dict[str, Any], name: str, files: tuple[Path, ...] = (), splits: Mapping[str, str] | None = None
) -> Raw:
    """A `Raw` of named arrays; those with a split's word at an end of their name are that split's part of a column.

    Where some have one and others have none, all are columns, unless `splits` says of each which it is.
    """
    arrays, classes = _without_classes(arrays)
    by_split: dict[str | None, dict[str, Any]] = {}
    for key, array in arrays.items():
        split, column = structure.parted(key)
        by_split.setdefault(splits[key] if splits else split, {})[column] = array
    all_there = sum(map(len, by_split.values())) == len(arrays)
    alone = len(by_split) == 1 and not all(structure.parted(k)[1] == k.rpartition("_")[0] for k in arrays)
    if not splits and (None in by_split or alone or not all_there):
        by_split = {None: arrays}
    parts = []
    for split, columns in by_split.items():
        lengths = {len(a) if isinstance(a, list) or np.ndim(a) else -1 for a in columns.values()}
        if len(lengths) != 1 or -1 in lengths:
            shapes = ", ".join(f"{k} {(len(a),) if isinstance(a, list) else a.shape}" for k, a in columns.items())
            raise DataError(f"the arrays have different lengths: {shapes}.", where=name)
        flat = [k for k, a in columns.items() if k.lower() in LABELS and (isinstance(a, list) or a.ndim == 1)]
        # Memory-mapped labels and rows of numbers are read; pictures stay where they are.
        kept = {k: np.array(a) if isinstance(a, np.memmap) and a.ndim < 3 else a for k, a in columns.items()}
        names, label = Numbered(f"{name}:{split}" if split else name, lengths.pop()), next(iter(flat), None)
        kinds = {SERIES: "series"} if _are_series(columns.get(SERIES)) else {}
        raw = Raw(
            kept, names, label=label, files=files, kinds=kinds, classes={label: classes} if label and classes else {}
        )
        parts.append((split, raw))
    return joined(parts)


def _without_classes(arrays: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arrays that have a row each, and the names of the classes where one holds them and others are longer."""
    found = next((k for k in arrays if k.lower() in CLASSES), None)
    if found is None or len({len(a) for a in arrays.values() if np.ndim(a)}) < 2:
        return arrays, []
    return {k: a for k, a in arrays.items() if k != found}, [str(c) for c in arrays[found]]


def _are_series(array: Any) -> bool:
    """Whether an array called X is of series (rows, channels, steps), and of no pictures, which are bytes or whole."""
    return isinstance(array, np.ndarray) and array.ndim == 3 and array.dtype.kind == "f"
