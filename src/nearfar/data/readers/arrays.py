"""NumPy's ``.npz`` and ``.npy``: arrays of equal length, never pickled objects.

An ``.npz`` is read whole; an ``.npy`` stays on disk, memory-mapped.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nearfar.data import folders, structure
from nearfar.data.lazy import Numbered
from nearfar.data.raw import Raw, joined
from nearfar.errors import DataError

LIMIT = 16 * 2**30  # bytes that the arrays may declare
ENDINGS = (".npz", ".npy")
LABELS = ("y", "label", "labels", "target")

RANK = 1  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file of either kind, or a folder of ``.npz`` named after splits, or of ``.npy`` named as in an ``.npz``."""
    if path.is_file():
        return path.suffix.lower() in ENDINGS
    return path.is_dir() and any(folders.chosen(path, (e,)) for e in ENDINGS)


def open(path: Path) -> Raw:
    """Arrays ``x`` and ``y``, or any others whose lengths agree; ``x_train``, ``y_test`` … are split by their names."""
    if path.is_file():
        return _opened(path, path.name)
    if folders.chosen(path, ENDINGS[:1]):
        return folders.opened(path, ENDINGS[:1], _opened)
    return folders.with_rest(_together(path), path, ENDINGS[1:])


def _opened(path: Path, name: str) -> Raw:
    arrays = {"x": _mapped(path)} if path.suffix.lower() == ".npy" else _arrays(path)
    return of_arrays(arrays, name, (path,))


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
        raw = of_arrays({f.stem: _mapped(f) for f in files}, "/".join(place) or path.name, files, splits)
        parts.append((None if raw.splits else own[0][0], raw))
    return joined(parts)


def _mapped(path: Path) -> np.ndarray:
    """The array of an ``.npy``, memory-mapped."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError) as e:
        raise DataError(f"is no readable npy file ({e}).", where=str(path)) from e
    except ValueError as e:
        raise DataError(
            "holds Python objects, which could run code, or is damaged.", where=str(path),
            hint="Save plain arrays only.",
        ) from e  # fmt: skip


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as z:
            declared = sum(i.file_size for i in z.infolist())
        if declared > LIMIT:
            raise DataError(f"says that it holds {declared >> 30} GiB, more than is opened.", where=str(path))
        with np.load(path, allow_pickle=False) as f:
            return {k: f[k] for k in f.files}
    except (OSError, zipfile.BadZipFile) as e:
        raise DataError(f"is no readable npz file ({e}).", where=str(path)) from e
    except ValueError as e:
        raise DataError(
            "holds Python objects, which could run code, or is damaged.", where=str(path),
            hint="Save plain arrays only.",
        ) from e  # fmt: skip


def of_arrays(
    arrays: dict[str, np.ndarray], name: str, files: tuple[Path, ...] = (), splits: Mapping[str, str] | None = None
) -> Raw:
    """A `Raw` of named arrays; those with a split's word at an end of their name are that split's part of a column.

    Where some have one and others have none, all are columns, unless `splits` says of each which it is.
    """
    by_split: dict[str | None, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        split, column = structure.parted(key)
        split = splits[key] if splits else split
        by_split.setdefault(split, {})[column] = array
    all_there = sum(map(len, by_split.values())) == len(arrays)
    alone = len(by_split) == 1 and not all(structure.parted(k)[1] == k.rpartition("_")[0] for k in arrays)
    if not splits and (None in by_split or alone or not all_there):
        by_split = {None: arrays}
    parts = []
    for split, columns in by_split.items():
        lengths = {len(a) if isinstance(a, list) or np.ndim(a) else -1 for a in columns.values()}
        if len(lengths) != 1 or -1 in lengths:
            found = ", ".join(f"{k} {(len(a),) if isinstance(a, list) else a.shape}" for k, a in columns.items())
            raise DataError(f"the arrays have different lengths: {found}.", where=name)
        rows = lengths.pop()
        label = next(
            (k for k, a in columns.items() if k.lower() in LABELS and (isinstance(a, list) or a.ndim == 1)), None
        )
        prefix = f"{name}:{split}" if split else name
        parts.append((split, Raw(_small_ones_read(columns), Numbered(prefix, rows), label=label, files=files)))
    return joined(parts)


def _small_ones_read(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Memory-mapped labels and rows of numbers are read; pictures stay where they are."""
    return {k: np.array(a) if isinstance(a, np.memmap) and a.ndim < 3 else a for k, a in columns.items()}
