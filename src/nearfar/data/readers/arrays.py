"""NumPy's ``.npz`` and ``.npy``: arrays of equal length, never pickled objects.

An ``.npz`` is read whole; an ``.npy`` stays on disk, memory-mapped.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from nearfar.data.lazy import Numbered
from nearfar.data.raw import SPLITS, Raw, joined
from nearfar.errors import DataError

LIMIT = 16 * 2**30  # bytes that the arrays may declare
LABELS = ("y", "label", "labels", "target")

RANK = 1  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file of either kind, or a folder of ``.npz`` named after splits, or of ``.npy`` named as in an ``.npz``."""
    if path.is_file():
        return path.suffix in (".npz", ".npy")
    return path.is_dir() and (any(path.glob("*.npz")) or any(path.glob("*.npy")))


def open(path: Path) -> Raw:
    """Arrays ``x`` and ``y``, or any others whose lengths agree; ``x_train``, ``y_test`` … are split by their names."""
    if path.is_dir():
        if files := sorted(path.glob("*.npz")):
            return joined([(SPLITS.get(f.stem.lower()), open(f)) for f in files])
        files = sorted(path.glob("*.npy"))
        return of_arrays({f.stem: _mapped(f) for f in files}, path.name, tuple(files))
    if path.suffix == ".npy":
        return of_arrays({"x": _mapped(path)}, path.name, (path,))
    return of_arrays(_arrays(path), path.name, (path,))


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


def of_arrays(arrays: dict[str, np.ndarray], name: str, files: tuple[Path, ...] = ()) -> Raw:
    """A `Raw` of named arrays; those that end in a split's name are that split's part of a column."""
    by_split: dict[str | None, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        stem, _, end = key.rpartition("_")
        split = SPLITS.get(end.lower()) if stem else None
        by_split.setdefault(split, {})[stem if split else key] = array
    if None in by_split and len(by_split) > 1:
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
