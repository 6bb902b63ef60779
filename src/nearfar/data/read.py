"""`read`: whatever people have → `Table`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data.columns import choose, limited, take_labels, take_splits
from nearfar.data.decode import Decoded, decoded
from nearfar.data.raw import SPLITS, Raw
from nearfar.data.table import Column, Skipped, Table
from nearfar.errors import DataError
from nearfar.registry import MODALITIES, READERS

if TYPE_CHECKING:
    from nearfar.console import Console


def read(
    source: Any, *, column: Sequence[str] | str | None = None, label: str | None = None,
    split_column: str | None = None,
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
    splits = take_splits(raw, split_column)
    labels, label_names, label = take_labels(raw, label, notes)
    if limit is not None:
        raw, splits, labels = limited(raw, splits, labels, limit, seed)
    wanted = (column,) if isinstance(column, str) else tuple(column or ())
    columns = choose(raw, wanted, modality, label, notes, needed=spec is not None)
    columns_decoded = {}
    for name, (kind, cells) in columns.items():
        module = MODALITIES.get(kind)
        own = dict(spec) if spec is not None else module.plan(cells, {"size": size})
        columns_decoded[name] = (kind, own, decoded(raw, name, kind, cells, own, console))
    return _table(
        raw, columns_decoded, splits, labels, label_names, max_bad, _described(source, wanted, label, notes, size)
    )


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


# --- the table ----------------------------------------------------------------------------------------------------


def _table(
    raw: Raw, columns: dict[str, tuple[str, dict[str, Any], Decoded]], splits: dict[str, np.ndarray],
    labels: np.ndarray | None, label_names: tuple[str, ...], max_bad: float, source: dict[str, Any],
) -> Table:  # fmt: skip
    bad: dict[int, str] = {}
    for _, _, d in columns.values():
        bad |= d.bad
    skipped = tuple(Skipped(raw.names[i], reason) for i, reason in sorted(bad.items()))
    good = np.setdiff1d(np.arange(len(raw)), np.asarray(sorted(bad), np.int64))
    if len(bad) > max_bad * len(raw):
        listed = "; ".join(f"{s.name} {s.reason}" for s in skipped[:5])
        raise DataError(
            f"{len(bad)} of {len(raw)} rows cannot be read: {listed}{'; …' if len(bad) > 5 else ''}.",
            hint="Mend or remove them" + (", or raise data.max_bad." if len(good) else "."),
        )
    hashes = np.bitwise_xor.reduce([d.hashes for _, _, d in columns.values()])
    made = {n: _column(n, kind, spec, d, good if bad else None) for n, (kind, spec, d) in columns.items()}
    if bad:
        place, more = np.full(len(raw), -1), ", …" if len(bad) > 1 else ""
        place[good] = np.arange(len(good))
        splits = {s: place[r][place[r] >= 0] for s, r in splits.items()}
        labels, hashes = None if labels is None else labels[good], hashes[good]
        source["notes"].append(f"Skipped: {len(bad)} unreadable rows ({skipped[0].name} {skipped[0].reason}{more}).")
    fingerprint = hashlib.sha256(np.ascontiguousarray(hashes).data).hexdigest()[:16]
    return Table(
        made, [raw.names[i] for i in good] if bad else raw.names, hashes, labels, label_names,
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
