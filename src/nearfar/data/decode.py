"""Cells → arrays: each is decoded once, bad ones are noted, pictures are kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data import cache
from nearfar.data.raw import Raw
from nearfar.errors import DataError
from nearfar.modalities import BadCell
from nearfar.registry import MODALITIES

if TYPE_CHECKING:
    from nearfar.console import Console

CHUNK = 512  # cells decoded between two steps of progress


@dataclass(frozen=True)
class Decoded:
    """Values of all rows; those of bad rows are zero."""

    values: np.ndarray
    geometry: np.ndarray | None
    hashes: np.ndarray
    bad: dict[int, str]


def decoded(raw: Raw, name: str, kind: str, cells: Any, spec: dict[str, Any], console: Console | None) -> Decoded:
    module = MODALITIES.get(kind)
    if isinstance(cells, np.ndarray) and (values := module.decode_array(cells, spec)) is not None:
        shape = np.tile(np.asarray(values.shape[2:], np.int32), (len(values), 1)) if kind == "image" else None
        return Decoded(values, shape, _hashes(values), {})
    if not raw.files:
        return _decode_cells(module, cells, spec, console, np.empty)
    entry = cache.key(raw.files, {"column": name, "modality": kind, "spec": spec, "rows": _rows_key(raw)})
    if (stored := cache.load(entry)) is None:
        first, _ = _first_good(module, cells, spec)
        with cache.writing(entry, first.nbytes * len(cells)) as folder:
            if (stored := cache.load(entry)) is None:

                def mapped(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
                    return np.lib.format.open_memmap(folder / "values.npy", "w+", dtype, shape)

                made = _decode_cells(module, cells, spec, console, mapped)
                made.values.flush()
                np.save(folder / "hashes.npy", made.hashes, allow_pickle=False)
                arrays = ["values", "hashes"]
                if made.geometry is not None:
                    np.save(folder / "geometry.npy", made.geometry, allow_pickle=False)
                    arrays.append("geometry")
                cache.finish(folder, arrays, {"bad": {str(k): v for k, v in made.bad.items()}})
                stored = cache.load(entry)
    arrays, manifest = stored
    geometry = np.asarray(arrays["geometry"]) if "geometry" in arrays else None
    return Decoded(
        arrays["values"], geometry, np.asarray(arrays["hashes"]), {int(k): v for k, v in manifest["bad"].items()}
    )


def _rows_key(raw: Raw) -> str:
    return hashlib.sha256("\n".join(raw.names).encode()).hexdigest()


def _first_good(module: Any, cells: Sequence[Any], spec: dict[str, Any]) -> tuple[np.ndarray, Any]:
    reason = "is empty"
    for i in range(len(cells)):
        try:
            return module.decode(cells[i], spec)
        except BadCell as e:
            reason = str(e)
    raise DataError(f"none of the {len(cells)} rows can be read; the last one {reason}.")


def _decode_cells(
    module: Any,
    cells: Sequence[Any],
    spec: dict[str, Any],
    console: Console | None,
    allocate: Callable[..., np.ndarray],
) -> Decoded:
    from nearfar.console import QUIET

    first, shape = _first_good(module, cells, spec)
    values = allocate((len(cells), *first.shape), first.dtype)
    geometry = None if shape is None else np.zeros((len(cells), len(shape)), np.int32)
    bad: dict[int, str] = {}

    def one(i: int) -> None:
        try:
            values[i], own = module.decode(cells[i], spec)
            if geometry is not None:
                geometry[i] = own
        except BadCell as e:
            values[i], bad[i] = 0, str(e)

    with ThreadPoolExecutor() as pool, (console or QUIET).progress("reading", len(cells), "rows") as progress:
        for start in range(0, len(cells), CHUNK):
            stop = min(start + CHUNK, len(cells))
            list(pool.map(one, range(start, stop), chunksize=32))
            progress.advance(stop - start)
    if geometry is not None:
        geometry[sorted(bad)] = 1
    return Decoded(values, geometry, _hashes(values), dict(sorted(bad.items())))


def _hashes(values: np.ndarray) -> np.ndarray:
    """64-bit hash of every row's content."""
    out = np.empty(len(values), np.uint64)
    for i, row in enumerate(values):
        out[i] = int.from_bytes(hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=8).digest(), "little")
    return out
