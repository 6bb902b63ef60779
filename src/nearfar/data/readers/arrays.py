"""NumPy's ``.npz``: arrays of equal length, never pickled objects."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from nearfar.data.raw import SPLITS, Raw, joined
from nearfar.errors import DataError

LIMIT = 16 * 2**30  # bytes that the arrays may declare
LABELS = ("y", "label", "labels", "target")

RANK = 1  # readers are asked in this order


def recognises(path: Path) -> bool:
    """An ``.npz`` file, or a folder of them named after their splits."""
    return path.suffix == ".npz" if path.is_file() else path.is_dir() and any(path.glob("*.npz"))


def open(path: Path) -> Raw:
    """Arrays ``x`` and ``y``, or any others whose lengths agree; ``x_train``, ``y_test`` … are split by their names."""
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        return joined([(SPLITS.get(f.stem.lower()), open(f)) for f in files])
    return of_arrays(_arrays(path), path.name, (path,))


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
        lengths = {len(a) if a.ndim else -1 for a in columns.values()}
        if len(lengths) != 1 or -1 in lengths:
            found = ", ".join(f"{k} {a.shape}" for k, a in columns.items())
            raise DataError(f"the arrays have different lengths: {found}.", where=name)
        rows = lengths.pop()
        label = next((k for k in columns if k.lower() in LABELS and columns[k].ndim == 1), None)
        prefix = f"{name}:{split}" if split else name
        parts.append((split, Raw(dict(columns), [f"{prefix}:{i + 1}" for i in range(rows)], label=label, files=files)))
    return joined(parts)
