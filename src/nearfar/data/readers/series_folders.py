"""A folder of series, one file each, in sub-folders that name their classes: CSV with a row a step, or ``.npy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, reason
from nearfar.data.readers import _csv, folders, structure
from nearfar.data.readers.raw import Raw

ENDINGS = (".csv", ".npy")

RANK = 4  # readers are asked in this order; behind those of tables and arrays, which leave sub-folders alone


def recognises(path: Path) -> bool:
    """A folder whose files of these endings lie in two or more folders, and not beside them."""
    if not path.is_dir():
        return False
    places = folders.listing(path).ending(ENDINGS, plain=True)
    return len({p[:-1] for p in places}) > 1 and all(len(p) > 1 for p in places)


def open(path: Path) -> Raw:
    """The series by their paths, each read when it is asked for; labels and splits are said by the folders."""
    places = folders.listing(path).ending(ENDINGS, plain=True)
    placed = structure.of_folders([p[:-1] for p in places], "series")
    kept = [places[i] for i in placed.kept]
    files = tuple(path.joinpath(*p) for p in kept)
    columns: dict[str, Any] = {"series": Files(files)}
    if placed.labels is not None:
        columns["label"] = placed.labels
    raw = Raw(
        columns, ["/".join(p) for p in kept], placed.splits, label="label" if placed.labels else None, files=files,
        kinds={"series": "series"}, warnings=placed.warnings,
    )  # fmt: skip
    return folders.with_rest(raw, path, ENDINGS)


@dataclass(frozen=True)
class Files(Sequence):
    """Series (C, T) in files; an ``.npy`` is memory-mapped, so that windows of it are read alone."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        """The series of a file; raises `BadCell` where it holds none."""
        file = self.files[int(index)]
        try:
            if file.suffix.lower() == ".npy":
                return np.load(file, mmap_mode="r", allow_pickle=False)
            return _numbers(file)
        except (OSError, ValueError, DataError) as e:
            raise BadCell(f"cannot be read ({reason(e)})") from e


def _numbers(file: Path) -> np.ndarray:
    """The columns of numbers of a CSV with a row a step, float32 (C, T); its first line may hold their names."""
    table = _csv.table(file)[0]
    head = [_number(name) for name in table.column_names]
    columns = [[_number(v) for v in column.to_pylist()] for column in table.columns]
    if not any(np.isnan(head)):  # a line of numbers is no header
        columns = [[first, *rest] for first, rest in zip(head, columns, strict=True)]
    out = np.asarray(columns, np.float32)
    out = out[~np.isnan(out).all(1)]
    if not len(out):
        raise ValueError("it holds no column of numbers")
    return out


def _number(value: Any) -> float:
    try:
        return float(value) if value is not None and str(value).strip() else np.nan
    except ValueError:
        return np.nan
