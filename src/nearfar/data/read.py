"""`read`: whatever people have → `Table`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data import cache
from nearfar.data.raw import SPLITS, Raw
from nearfar.data.table import Column, Skipped, Table
from nearfar.errors import DataError, UnknownName
from nearfar.modalities import BadCell
from nearfar.registry import MODALITIES, READERS

if TYPE_CHECKING:
    from nearfar.console import Console

LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
SPLIT_NAMES = ("split", "subset", "partition")
SURE = 0.5  # a modality that is less sure than this does not claim a column
CHUNK = 512  # cells decoded between two steps of progress


def read(
    source: Any, *, column: Sequence[str] | str | None = None, label: str | None = None, split_column: str | None = None,
    size: int | None = None, max_bad: float = 0.05, limit: int | None = None, seed: int = 0,
    modality: str | None = None, spec: Mapping[str, Any] | None = None, console: Console | None = None,
) -> Table:  # fmt: skip
    """Read and decode data.

    Parameters
    ----------
    source : path, hub name, array, (array, labels), dict, or list of paths or pictures
        See `docs/data.md`.
    column, label, split_column : optional
        Names of columns. One obvious candidate is taken and said; two are asked about.
    size : int, optional
        Side of stored pictures.
    max_bad : float
        Share of unreadable rows that is tolerated; they are skipped and named in `Table.skipped`.
    limit : int, optional
        Use only so many rows of every split, drawn by `seed`.
    modality, spec : optional
        Decode as a trained model was told to.
    console : Console, optional

    Returns
    -------
    Table

    Raises
    ------
    DataError
        The data cannot be read or do not suffice; the message says where and what to do.
    """
    raw = _open(source)
    if len(raw) == 0:
        raise DataError("there are no rows.", where=_name(source))
    notes: list[str] = []
    splits = _take_splits(raw, split_column)
    labels, label_names, label = _take_labels(raw, label, notes)
    if limit is not None:
        raw, splits, labels = _limited(raw, splits, labels, limit, seed)
    wanted = (column,) if isinstance(column, str) else tuple(column or ())
    columns = _choose(raw, wanted, modality, label, notes, needed=spec is not None)
    decoded = {}
    for name, (kind, cells) in columns.items():
        module = MODALITIES.get(kind)
        own = dict(spec) if spec is not None else module.plan(cells, {"size": size})
        decoded[name] = (kind, own, _decoded(raw, name, kind, cells, own, console))
    return _table(raw, decoded, splits, labels, label_names, max_bad, _described(source, wanted, label, notes, size))


# --- opening ------------------------------------------------------------------------------------------------------


def _open(source: Any) -> Raw:
    if isinstance(source, str | Path):
        return _open_path(source)
    return _open_python(source)


def _open_path(source: str | Path) -> Raw:
    path = Path(source).expanduser()
    if path.exists():
        try:
            if path.is_dir() and not any(path.iterdir()):
                raise DataError("the folder is empty.", where=str(source))
            readers = [READERS.get(r) for r in READERS]
            for reader in sorted(readers, key=lambda r: getattr(r, "RANK", 5)):
                if reader.recognises(path):
                    return reader.open(path)
        except PermissionError as e:
            raise DataError("may not be read (permission).", where=str(e.filename or source)) from e
        if path.is_file():
            return Raw({"image": [path]}, [path.name], files=(path,))
        raise DataError(
            "holds nothing that is read: no pictures, CSV, JSON lines, Parquet, npz or saved data set.",
            where=str(source),
        )
    text = str(source)
    if text.startswith("hf:") or (text.count("/") == 1 and not text.startswith((".", "/", "~")) and " " not in text):
        if not text.startswith("hf:") and Path(text).parent.exists():
            raise _missing(path)
        from nearfar.data.hub import open_hub

        return open_hub(text)
    raise _missing(path)


def _missing(path: Path) -> DataError:
    from nearfar.errors import nearest

    near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else []
    hint = (
        f"Did you mean {' or '.join(repr(n) for n in near)}?"
        if near
        else "See `nearfar train --help` for what is read."
    )
    return DataError("there is no such file or folder.", where=str(path), hint=hint)


def _open_python(source: Any) -> Raw:
    from nearfar.data.readers.arrays import of_arrays

    if isinstance(source, Raw):
        return source
    if isinstance(source, dict) and source and all(str(k).lower() in SPLITS for k in source):
        from nearfar.data.raw import joined

        return joined([(SPLITS[str(k).lower()], _open_python(v)) for k, v in source.items()])
    if isinstance(source, dict):
        return of_arrays({str(k): _array(v) for k, v in source.items()}, "data")
    if isinstance(source, tuple) and len(source) == 2:
        return of_arrays({"x": _array(source[0]), "y": _array(source[1])}, "data")
    if isinstance(source, list | tuple) and source and not isinstance(source[0], int | float | list | np.ndarray):
        cells = [Path(c) if isinstance(c, str) else c for c in source]
        names = [str(c) if isinstance(c, Path) else f"row {i}" for i, c in enumerate(cells)]
        return Raw({"image": cells}, names)
    return of_arrays({"x": _array(source)}, "data")


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype == object:
        raise DataError("the array holds Python objects, expected numbers.", where="data")
    return array


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "data"


# --- which columns ------------------------------------------------------------------------------------------------


def _take_splits(raw: Raw, name: str | None) -> dict[str, np.ndarray]:
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--split-column")
    if name is None:
        name = next((c for c in raw.columns if c.lower() in SPLIT_NAMES and _holds_splits(raw.columns[c])), None)
    values = raw.splits
    if name is not None:
        values = [SPLITS.get(str(v).lower(), str(v)) for v in raw.columns.pop(name)]
    if values is None:
        return {}
    array = np.asarray(values, dtype=object)
    return {str(s): np.flatnonzero(array == s) for s in dict.fromkeys(values)}


def _holds_splits(cells: Sequence[Any]) -> bool:
    some = [cells[i] for i in range(min(len(cells), 100))]
    return all(isinstance(v, str) and v.lower() in SPLITS for v in some)


def _take_labels(raw: Raw, name: str | None, notes: list[str]) -> tuple[np.ndarray | None, tuple[str, ...], str | None]:
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--label")
    if name is None:
        near = [raw.label] if raw.label else [c for c in raw.columns if c.lower() in LABEL_NAMES]
        if len(near) > 1:
            raise DataError(f"the columns {' and '.join(near)} may both be labels.", hint="Say which with --label.")
        name = near[0] if near else None
        if name is not None and name != "label":
            notes.append(f"Label column: {name!r} (change with --label).")
    if name is None or len(raw.columns) == 1:
        return None, (), None
    return *_encoded(raw.columns.pop(name), raw.classes.get(name)), name


def _encoded(cells: Sequence[Any], classes: list[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as whole numbers, −1 for empty ones, and the names of the classes."""
    values = [None if _empty(v) else v for v in cells]
    if classes is not None:
        labels = np.asarray([-1 if v is None or int(v) < 0 else int(v) for v in values], np.int64)
        return labels, tuple(classes)
    as_text = [
        None if v is None else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values
    ]
    names = sorted({t for t in as_text if t is not None}, key=_natural)
    number = {t: i for i, t in enumerate(names)}
    return np.asarray([-1 if t is None else number[t] for t in as_text], np.int64), tuple(names)


def _empty(value: Any) -> bool:
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def _natural(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def _choose(
    raw: Raw, wanted: tuple[str, ...], modality: str | None, label: str | None, notes: list[str], *, needed: bool
) -> dict[str, tuple[str, Any]]:
    """The column to embed with its modality, or the numeric columns together as one."""
    for name in wanted:
        if name not in raw.columns:
            raise UnknownName("column", name, raw.columns, where="--column")
    pool = {c: raw.columns[c] for c in (wanted or raw.columns)}
    found = {c: kind for c, cells in pool.items() if (kind := _modality(cells, modality))}
    if found and not (len(found) > 1 and not wanted):
        notes.extend(f"Column: {c!r} ({k})." for c, k in found.items() if len(raw.columns) > 1)
        return {c: (k, pool[c]) for c, k in found.items()}
    if len(found) > 1:
        raise DataError(f"the columns {' and '.join(found)} can both be embedded.", hint="Say which with --column.")
    numeric = [
        c
        for c, cells in pool.items()
        if isinstance(cells, np.ndarray) and cells.ndim == 1 and cells.dtype.kind in "iufb"
    ]
    if numeric and modality in (None, "vector"):
        if not wanted and len(numeric) > 1:
            notes.append(
                f"Columns: the {len(numeric)} numeric ones ({', '.join(numeric[:6])}{', …' if len(numeric) > 6 else ''})."
            )
        return {"vector": ("vector", np.stack([pool[c].astype(np.float64) for c in numeric], 1))}
    kinds = ", ".join(MODALITIES) if modality is None else modality
    raise DataError(
        f"none of the columns {', '.join(pool) or '(none)'} holds what can be embedded ({kinds}).",
        hint="Text, sound and other modalities are not there yet." if modality is None else None,
    )


def _modality(cells: Any, only: str | None) -> str | None:
    if isinstance(cells, np.ndarray) and cells.ndim > 1:
        sample: Sequence[Any] = list(cells[:8])
    else:
        sample = [cells[i] for i in range(min(len(cells), 32))]
    sure = {m: MODALITIES.get(m).recognise(sample) for m in ([only] if only else MODALITIES)}
    best = max(sure, key=lambda m: sure[m])
    return best if sure[best] >= SURE else None


def _limited(
    raw: Raw, splits: dict[str, np.ndarray], labels: np.ndarray | None, limit: int, seed: int
) -> tuple[Raw, dict[str, np.ndarray], np.ndarray | None]:
    generator = np.random.default_rng(seed)
    pools = splits or {"": np.arange(len(raw))}
    kept = {s: np.sort(generator.permutation(rows)[:limit]) for s, rows in pools.items()}
    rows = np.sort(np.concatenate(list(kept.values())))
    columns = {k: v[rows] if isinstance(v, np.ndarray) else Picked(v, rows) for k, v in raw.columns.items()}
    smaller = Raw(columns, [raw.names[i] for i in rows], classes=raw.classes, files=raw.files)
    new = {s: np.searchsorted(rows, r) for s, r in kept.items()} if splits else {}
    return smaller, new, None if labels is None else labels[rows]


@dataclass(frozen=True)
class Picked(Sequence):
    """Some rows of a sequence."""

    cells: Sequence[Any]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.cells[int(self.rows[index])]


# --- decoding -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decoded:
    """Values of all rows; those of bad rows are zero."""

    values: np.ndarray
    geometry: np.ndarray | None
    hashes: np.ndarray
    bad: dict[int, str]


def _decoded(raw: Raw, name: str, kind: str, cells: Any, spec: dict[str, Any], console: Console | None) -> Decoded:
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


# --- the table ----------------------------------------------------------------------------------------------------


def _table(
    raw: Raw, decoded: dict[str, tuple[str, dict[str, Any], Decoded]], splits: dict[str, np.ndarray],
    labels: np.ndarray | None, label_names: tuple[str, ...], max_bad: float, source: dict[str, Any],
) -> Table:  # fmt: skip
    bad: dict[int, str] = {}
    for _, _, d in decoded.values():
        bad |= d.bad
    skipped = tuple(Skipped(raw.names[i], reason) for i, reason in sorted(bad.items()))
    good = np.setdiff1d(np.arange(len(raw)), np.asarray(sorted(bad), np.int64))
    if len(bad) > max_bad * len(raw):
        listed = "; ".join(f"{s.name} {s.reason}" for s in skipped[:5])
        raise DataError(
            f"{len(bad)} of {len(raw)} rows cannot be read: {listed}{'; …' if len(bad) > 5 else ''}.",
            hint="Mend or remove them" + (", or raise data.max_bad." if len(good) else "."),
        )
    hashes = np.bitwise_xor.reduce([np.roll(d.hashes, 0) for _, _, d in decoded.values()])
    columns = {n: _column(n, kind, spec, d, good if bad else None) for n, (kind, spec, d) in decoded.items()}
    if bad:
        place = np.full(len(raw), -1)
        place[good] = np.arange(len(good))
        splits = {s: place[r][place[r] >= 0] for s, r in splits.items()}
        labels, hashes = None if labels is None else labels[good], hashes[good]
        source["notes"].append(
            f"Skipped: {len(bad)} unreadable rows ({skipped[0].name} {skipped[0].reason}{', …' if len(bad) > 1 else ''})."
        )
    fingerprint = hashlib.sha256(np.ascontiguousarray(hashes).data).hexdigest()[:16]
    return Table(
        columns, [raw.names[i] for i in good] if bad else raw.names, hashes, labels, label_names,
        {s: np.asarray(r, np.int64) for s, r in splits.items()}, skipped, source, fingerprint,
    )  # fmt: skip


def _column(name: str, kind: str, spec: dict[str, Any], d: Decoded, good: np.ndarray | None) -> Column:
    if good is None:
        return Column(name, kind, spec, d.values, d.geometry)
    return Column(name, kind, spec, d.values[good], None if d.geometry is None else d.geometry[good])


def _described(
    source: Any, column: tuple[str, ...], label: str | None, notes: list[str], size: int | None
) -> dict[str, Any]:
    path = None
    if isinstance(source, str | Path):
        path = str(Path(source).expanduser().absolute()) if Path(source).expanduser().exists() else str(source)
    return {"source": path, "column": list(column), "label": label, "size": size, "notes": notes}
