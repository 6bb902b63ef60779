"""Cells → arrays: each is decoded once and kept in the cache, or decoded while training where that has no room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, StorageError
from nearfar.core.registry import MODALITIES
from nearfar.data.decoding import cache
from nearfar.data.decoding.streaming import Streamed, Streaming
from nearfar.data.decoding.workers import Decoded, Decoder, Form, content_hashes
from nearfar.data.readers.raw import Cells, Chain, Picked, Raw

if TYPE_CHECKING:
    from nearfar.core.console import Console

UTF8 = "Save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`."
CHUNK, CHUNK_BYTES = 512, 8 * 2**20  # decoded between two steps of progress: so many rows, and no more than so much


def decoded(
    raw: Raw, name: str, kind: str, cells: Any, spec: dict[str, Any], streaming: Streaming, console: Console
) -> Decoded:
    """All rows of a column, from the cache where they are there already.

    Raises a `DataError` where no row can be read, a `StorageError` where the cache has no room and they are not to be
    streamed.
    """
    module = MODALITIES.get(kind)
    in_memory = isinstance(cells, np.ndarray) and not isinstance(cells, np.memmap)
    whole = getattr(module, "decode_array", lambda cells, spec: None)
    if in_memory and (values := whole(cells, spec)) is not None:
        shape = np.tile(np.asarray(values.shape[2:], np.int32), (len(values), 1)) if kind == "image" else None
        hashes = [content_hashes(v) for v in np.array_split(values, -(-len(values) // CHUNK))]
        return Decoded(values, shape, np.concatenate(hashes), {})
    entry = None
    if raw.files or raw.key:
        names = hashlib.sha256()
        for i, row in enumerate(raw.names):
            names.update((f"\n{row}" if i else row).encode("utf-8", "surrogateescape"))
        settings = {"column": name, "modality": kind, "spec": spec, "rows": names.hexdigest(), "missing": raw.missing}
        settings |= {"cells": cells.digest} if hasattr(cells, "digest") else {}  # which the files do not say
        sources = list(dict.fromkeys([*raw.files, *(_named(cells) if raw.files else ())]))
        entry = cache.entry(sources, settings | ({"key": raw.key} if raw.key else {}))
        if streaming.wanted is not True and (stored := cache.load(entry)) is not None:
            return _of_cache(stored)
    form = _form(module, cells, spec)
    # Without files there is nothing to key an entry by, so such data are decoded into memory.
    lacking = cache.lacks(form.nbytes * len(cells)) if entry else None
    if streaming.wanted is True or (lacking and streaming.wanted):
        why = "asked for" if streaming.wanted is True else lacking
        known = _looked_through(entry, Decoder(kind, spec, form, streaming.processes, console.warn), cells, console)
        note = (
            f"Streaming ({why}): rows are decoded while training, by {streaming.processes or 'no'} further "
            f"process{'' if streaming.processes == 1 else 'es'}."
        )
        values = Streamed(cells, raw.names, kind, spec, form, known.hashes, streaming, console.warn)
        return replace(known, values=values, notes=(note,))
    if lacking:
        raise StorageError(f"{lacking}.", where=str(cache.root()), hint=cache.HINT)
    decoder = Decoder(kind, spec, form)
    if entry is None:
        return _filled(form.empty(len(cells)), decoder, cells, console)
    return _cached(entry, decoder, cells, console)


def _cached(entry: cache.Entry, decoder: Decoder, cells: Any, console: Console) -> Decoded:
    """Decode into the cache, unless another process has done so meanwhile."""
    form, rows = decoder.form, len(cells)
    with cache.writing(entry, form.nbytes * rows) as folder:
        if (stored := cache.load(entry)) is not None:
            return _of_cache(stored)
        console.say(
            f"Cache: {rows:,} rows of {form.nbytes / 2**10:,.1f} KiB are decoded once, "
            f"{form.nbytes * rows / 2**20:,.1f} MiB in {cache.root()}, where {cache.free() / 2**20:,.0f} MiB are free."
        )
        values = cache.allocate(folder / "values.npy", (rows, *form.shape), form.dtype)
        made = _filled(form.empty(rows, values), decoder, cells, console)
        values.flush()
        _keep(entry, made, {"values"})
        return _of_cache(cache.load(entry, trusted=True))


def _looked_through(entry: cache.Entry | None, decoder: Decoder, cells: Any, console: Console) -> Decoded:
    """What is known of all rows beforehand, without their values: content, sizes, damage. That is kept, if in files."""
    stored = (cache.load(entry) or cache.load(entry.rows)) if entry else None
    if stored is not None:
        return _of_cache(stored)
    known = _filled(replace(decoder.form, shape=(0,)).empty(len(cells)), decoder, cells, console)
    if entry:
        with cache.writing(entry.rows, known.hashes.nbytes):
            _keep(entry.rows, known, set())
    return known


def _filled(made: Decoded, decoder: Decoder, cells: Any, console: Console) -> Decoded:
    """With all cells decoded in their order; where there is no room for values, those are let go."""
    try:
        with console.progress("reading", len(cells), "rows") as progress:
            size = max(1, min(CHUNK, CHUNK_BYTES // max(1, decoder.form.nbytes)))
            for start in range(0, len(cells), size):
                rows = np.arange(start, min(start + size, len(cells)))
                made.put(start, decoder.decode(cells, rows))
                progress.advance(len(rows))
    finally:
        decoder.close()
    return made


def _keep(entry: cache.Entry, made: Decoded, arrays: set[str]) -> None:
    for name in ("hashes", "geometry", "lengths"):
        if (array := getattr(made, name)) is not None:
            np.save(cache.root() / entry.name / f"{name}.npy", array, allow_pickle=False)
            arrays |= {name}
    cache.finish(entry, sorted(arrays), {"bad": {str(k): v for k, v in made.bad.items()}})


def _of_cache(stored: Any) -> Decoded:
    arrays, manifest = stored
    known = {n: np.asarray(a) for n, a in arrays.items() if n != "values"}
    bad = {int(k): v for k, v in manifest["bad"].items()}
    return Decoded(arrays.get("values"), known.get("geometry"), known["hashes"], bad, known.get("lengths"))


def _named(cells: Any) -> list[Path]:
    """The files that cells name, whose content the container may not hold."""
    if isinstance(cells, Chain):
        return [f for piece in cells.pieces for f in _named(piece)]
    if isinstance(cells, Picked):
        return _named(cells.cells)
    if isinstance(cells, Cells):
        return cells.files()
    return [c for c in cells if isinstance(c, Path)] if isinstance(cells, list) else []


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
    hint = UTF8 if "not UTF-8" in reason else None
    raise DataError(f"none of the {len(cells)} rows can be read; the last one {reason}.", hint=hint)
