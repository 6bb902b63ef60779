"""Cells → arrays: each is decoded once and kept in the cache, or decoded while training where that has no room."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, StorageError
from nearfar.core.registry import MODALITIES
from nearfar.data.decoding import cache
from nearfar.data.decoding.streaming import Streamed, Streaming
from nearfar.data.decoding.workers import Batch, Decoder, Form, content_hashes
from nearfar.data.readers.raw import Cells, Chain, Picked, Raw

if TYPE_CHECKING:
    from nearfar.core.console import Console

UTF8 = "Save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`."
CHUNK, CHUNK_BYTES = 512, 8 * 2**20  # decoded between two steps of progress: so many rows, and no more than so much


@dataclass(frozen=True)
class Decoded:
    """Values of all rows; those of bad rows are zero, or missing where they are streamed."""

    values: Any
    geometry: np.ndarray | None
    hashes: np.ndarray
    bad: dict[int, str]
    notes: tuple[str, ...] = field(default=())
    lengths: np.ndarray | None = None


def decoded(
    raw: Raw, name: str, kind: str, cells: Any, spec: dict[str, Any], streaming: Streaming, console: Console
) -> Decoded:
    """All rows of a column.

    Raises
    ------
    DataError
        No row can be read.
    StorageError
        The cache has no room for them, and they are not to be streamed.
    """
    module = MODALITIES.get(kind)
    in_memory = isinstance(cells, np.ndarray) and not isinstance(cells, np.memmap)
    whole = getattr(module, "decode_array", lambda cells, spec: None)
    if in_memory and (values := whole(cells, spec)) is not None:
        shape = np.tile(np.asarray(values.shape[2:], np.int32), (len(values), 1)) if kind == "image" else None
        return Decoded(values, shape, _hashes(values), {})
    entry = None
    if raw.files or raw.key:
        settings = {"column": name, "modality": kind, "spec": spec, "rows": _rows_key(raw), "missing": raw.missing}
        sources = list(dict.fromkeys([*raw.files, *(_named(cells) if raw.files else ())]))
        entry = cache.entry(sources, settings | ({"key": raw.key} if raw.key else {}))
        if streaming.wanted is not True and (stored := cache.load(entry)) is not None:
            return _of_cache(stored)
    form = _form(module, cells, spec)
    lacking = cache.lacks(form.nbytes * len(cells)) if entry else None
    if streaming.wanted is True or (lacking and streaming.wanted):
        why = "asked for" if streaming.wanted is True else lacking
        return _streamed(raw, kind, cells, spec, form, entry, streaming, why, console)
    if lacking:
        raise StorageError(f"{lacking}.", where=str(cache.root()), hint=cache.HINT)
    decoder = Decoder(kind, spec, form)
    try:
        if entry is None:
            return _in_memory(decoder, cells, console)
        return _of_cache(_cached(entry, decoder, cells, console))
    finally:
        decoder.close()


def _in_memory(decoder: Decoder, cells: Any, console: Console) -> Decoded:
    made = decoder.form.empty(len(cells))
    _fill(made, decoder, cells, console)
    return Decoded(made.values, made.geometry, made.hashes, made.bad, lengths=made.lengths)


def _cached(entry: cache.Entry, decoder: Decoder, cells: Any, console: Console) -> Any:
    """Decode into the cache, unless another process has done so meanwhile."""
    form, rows = decoder.form, len(cells)
    with cache.writing(entry, form.nbytes * rows) as folder:
        if (stored := cache.load(entry)) is not None:
            return stored
        console.say(
            f"Cache: {rows:,} rows of {form.nbytes / 2**10:,.1f} KiB are decoded once, "
            f"{form.nbytes * rows / 2**20:,.1f} MiB in {cache.root()}, where {cache.free() / 2**20:,.0f} MiB are free."
        )
        values = cache.allocate(folder / "values.npy", (rows, *form.shape), form.dtype)
        made = replace(_known(form, rows), values=values)
        _fill(made, decoder, cells, console)
        made.values.flush()
        _keep(entry, made, {"values"})
        return cache.load(entry, trusted=True)


def _streamed(
    raw: Raw, kind: str, cells: Any, spec: dict[str, Any], form: Form, entry: cache.Entry | None, streaming: Streaming,
    why: str, console: Console,
) -> Decoded:  # fmt: skip
    """Look through all rows once for what is known of them beforehand: content, sizes, damage. Keep that only."""
    stored = (cache.load(entry) or cache.load(entry.rows)) if entry else None
    values = Streamed(cells, raw.names, kind, spec, form, np.zeros(len(cells), np.uint64), streaming, console.warn)
    if stored is None:
        made = _known(form, len(cells))
        decoder = Decoder(kind, spec, form, values.processes, console.warn)
        try:
            _fill(made, decoder, cells, console)
        finally:
            decoder.close()
        stored = {"hashes": made.hashes, "geometry": made.geometry, "lengths": made.lengths}, {"bad": made.bad}
        if entry:
            with cache.writing(entry.rows, made.hashes.nbytes):
                _keep(entry.rows, made, set())
    arrays, manifest = stored
    values.hashes = np.asarray(arrays["hashes"])
    geometry, lengths = _there(arrays, "geometry"), _there(arrays, "lengths")
    note = (
        f"Streaming ({why}): rows are decoded while training, by {values.processes or 'no'} further "
        f"process{'' if values.processes == 1 else 'es'}."
    )
    return Decoded(values, geometry, values.hashes, {int(k): v for k, v in manifest["bad"].items()}, (note,), lengths)


def _known(form: Form, rows: int) -> Batch:
    """Room for what is known of rows, without their values."""
    return replace(form, shape=(0,)).empty(rows)


def _fill(made: Batch, decoder: Decoder, cells: Any, console: Console) -> None:
    """Decode all cells in their order into `made`; where its rows have no values, those are let go."""
    with console.progress("reading", len(cells), "rows") as progress:
        size = max(1, min(CHUNK, CHUNK_BYTES // max(1, decoder.form.nbytes)))
        for start in range(0, len(cells), size):
            rows = np.arange(start, min(start + size, len(cells)))
            part = decoder.decode(cells, rows)
            if made.values.nbytes:
                made.values[rows] = part.values
            made.hashes[rows] = part.hashes
            if made.geometry is not None:
                made.geometry[rows] = part.geometry
            if made.lengths is not None:
                made.lengths[rows] = part.lengths
            made.bad.update({start + i: reason for i, reason in part.bad.items()})
            del part  # before the next is made
            progress.advance(len(rows))


def _keep(entry: cache.Entry, made: Batch, arrays: set[str]) -> None:
    folder = cache.root() / entry.name
    np.save(folder / "hashes.npy", made.hashes, allow_pickle=False)
    for name in ("geometry", "lengths"):
        if (array := getattr(made, name)) is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
            arrays |= {name}
    cache.finish(entry, sorted(arrays | {"hashes"}), {"bad": {str(k): v for k, v in made.bad.items()}})


def _of_cache(stored: Any) -> Decoded:
    arrays, manifest = stored
    geometry, lengths = _there(arrays, "geometry"), _there(arrays, "lengths")
    bad = {int(k): v for k, v in manifest["bad"].items()}
    return Decoded(arrays["values"], geometry, np.asarray(arrays["hashes"]), bad, lengths=lengths)


def _there(arrays: Mapping[str, Any], name: str) -> np.ndarray | None:
    return None if arrays.get(name) is None else np.asarray(arrays[name])


def _named(cells: Any) -> list[Path]:
    """The files that cells name, whose content the container may not hold."""
    if isinstance(cells, Chain):
        return [f for piece in cells.pieces for f in _named(piece)]
    if isinstance(cells, Picked):
        return _named(cells.cells)
    if isinstance(cells, Cells):
        return cells.files()
    return [c for c in cells if isinstance(c, Path)] if isinstance(cells, list) else []


def _rows_key(raw: Raw) -> str:
    digest = hashlib.sha256()
    for i, name in enumerate(raw.names):
        digest.update((f"\n{name}" if i else name).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _form(module: Any, cells: Sequence[Any], spec: dict[str, Any]) -> Form:
    """What a decoded row looks like, from the first that can be decoded."""
    reason = "is empty"
    for i in range(len(cells)):
        try:
            values, geometry = module.decode(cells[i], spec)
            sides = 0 if geometry is None else len(geometry)
            return Form(values.shape, values.dtype, sides, hasattr(module, "lengths"))
        except BadCell as e:
            reason = str(e)
    hint = UTF8 if "no UTF-8" in reason else None
    raise DataError(f"none of the {len(cells)} rows can be read; the last one {reason}.", hint=hint)


def _hashes(values: np.ndarray) -> np.ndarray:
    """64-bit hash of every row's content."""
    return np.concatenate([content_hashes(v) for v in np.array_split(values, -(-len(values) // CHUNK))])
