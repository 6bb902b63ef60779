"""`read`: whatever people have → `Table`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import checks
from nearfar.core.console import QUIET
from nearfar.core.errors import DataError
from nearfar.core.registry import MODALITIES
from nearfar.data import captions, groups, looks_grouped
from nearfar.data.columns import Findings, Said, limited, take_labels, take_scores, take_sets, take_splits
from nearfar.data.decoding.decode import UTF8, Decoded, decoded
from nearfar.data.decoding.streaming import BUFFER, Streaming
from nearfar.data.facts import about_skipped
from nearfar.data.inputs import VECTOR, choose
from nearfar.data.numeric import without
from nearfar.data.opening import expanded, name_of, open_source
from nearfar.data.readers.raw import Picked, Raw, concatenated
from nearfar.data.table import Column, Skipped, Table, some_rows

if TYPE_CHECKING:
    from nearfar.core.console import Console

ONE_IN = 10  # rows, of which one may be bad whatever share is tolerated


def read(
    source: Any, *, column: Sequence[str] | str | None = None, negative: Sequence[str] = (), label: str | None = None,
    score: str | None = None, sets: str | None = None, group: str | None = None, group_from: str | None = None,
    split_column: str | None = None, size: int | None = None,
    depth: str = "auto", tokens: str = "auto", length: int | None = None, max_bad: float = 0.05,
    limit: int | None = None, seed: int = 0, modality: str | None = None, spec: Mapping[str, Any] | None = None,
    known: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None, stream: bool | str = False,
    missing: Sequence[str] = (), workers: int | None = None, buffer: int = BUFFER, several: bool = True,
    usual: str | None = None, console: Console | None = None,
) -> Table:  # fmt: skip
    """Read and decode data.

    Parameters
    ----------
    source : path, hub name, array, (array, labels), dict, or list of paths or pictures
        See `docs/data.md`.
    column, label, split_column : optional
        Names of columns. One obvious candidate is taken and said; two are asked about. Several columns to embed are
        sides of one row.
    negative : sequence of str
        Names of columns that hold hard negatives of each row.
    score : str, optional
        Column of numbers that say how alike the two sides of each row are.
    sets : str, optional
        Column that says which of several sets a row is of.
    group : str, optional
        Column whose equal values are rows that are never on two sides of a split.
    group_from : str, optional
        Regular expression that finds the same in a row's name, see `nearfar.data.groups`.
    size : int, optional
        Side of stored pictures.
    depth : {"auto", "8", "full"}
        Bits of stored pictures, see `docs/data.md`.
    tokens : str
        Tokeniser of texts, see `nearfar.modalities.text.tokenisers`.
    length : int, optional
        Numbers that a text has at most.
    max_bad : float
        Share of unreadable rows that is tolerated; they are skipped and named in `Table.skipped`.
    limit : int, optional
        Use only so many rows of every split, drawn by `seed`.
    modality, spec : optional
        Decode as a trained model was told to.
    known : mapping of str to (modality, spec), optional
        The same for columns of these names.
    missing : sequence of str
        Cells that mean "missing", such as ``"NA"`` or ``"-999"``; an empty cell always does.
    stream : bool or "auto"
        Decode rows when they are asked for, instead of once into the cache; ``"auto"``: where that has no room.
    workers : int, optional
        Processes that decode ahead while training; by default all cores but one.
    buffer : int
        MiB of encoded rows kept in memory where they are read by pages.
    several : bool
        A cell may hold a list of texts, each of which becomes a row; if not, that is an error.
    usual : str, optional
        What the column is called in the data that a model was trained on: the one to embed where there are several.
    console : Console, optional

    Returns
    -------
    Table

    Raises
    ------
    DataError
        The data cannot be read or do not suffice; the message says where and what to do.
    StorageError
        The cache has no room for the decoded data, and they are not to be streamed.
    """
    missing = (missing,) if isinstance(missing, str) else missing
    limit = None if limit is None else checks.whole(limit, "limit", 1)
    raw = _opened(source, stream is True, {"modality": modality, "spec": spec}, missing, max_bad)
    if raw.key and stream is True:
        stream = "auto"  # each picture comes over the network once, if the decoded form can be kept
    streaming = Streaming(stream, workers, buffer)
    notes = Findings(raw.notes, list(raw.warnings))
    there = list(raw.columns)
    splits = take_splits(raw, split_column, notes)
    wanted = (column,) if isinstance(column, str) else tuple(column or ())
    sides = () if wanted or known else raw.sides
    wanted = wanted or sides
    trained = spec if modality == VECTOR else None
    together = groups.take(raw, group, group_from, notes, splits, (*wanted, *negative, score, sets), label)
    kept = (*wanted, *negative, usual, *(trained or {}).get("names", ()))
    labels, label_names, label = take_labels(raw, label, notes, kept)
    said = Said(labels, label_names, take_scores(raw, score, notes), *take_sets(raw, sets), together)
    guess = None if together is not None else looks_grouped.hint(raw, labels, splits, (*wanted, *negative))
    notes.extend([guess[0]] if guess else [])
    if limit is not None:
        raw, splits, kept = limited(raw, splits, limit, seed)
        said = said.of(kept)
    if twice := [c for c in wanted if wanted.count(c) > 1]:
        raise DataError(f"the column {twice[0]!r} is named twice.", where="--column")
    beside = choose(raw, tuple(negative), modality, Findings()).columns if negative else {}
    rest = replace(raw, columns={n: c for n, c in raw.columns.items() if n not in beside})
    inputs = choose(rest, wanted, modality, notes, trained, usual)
    if sides and (left := [c for c in rest.columns if c not in sides]):
        notes.warn(f"Left out: {', '.join(left)}, beside {' and '.join(sides)}.")
    _say_doubts(inputs.columns, notes)
    columns, texts = _spread({**inputs.columns, **beside}, several, notes)
    if texts is not None:
        splits, said = captions.splits_of(splits, texts), said.of(texts.owner)
    for name, (kind, _) in (known or {}).items():
        if name in columns and columns[name][0] != kind:
            raise DataError(f"the column {name!r} holds {columns[name][0]}, and {kind} is expected.")
    specs = {n: s for n, (_, s) in (known or {}).items()} | ({} if spec is None else dict.fromkeys(columns, spec))
    options = {"size": size, "depth": depth, "tokens": tokens, "length": length}
    specs = _planned({n: c for n, c in columns.items() if n not in specs}, splits.get("train"), texts, options) | specs
    if inputs.features and not trained:
        others = [n for n in there if n not in inputs.features]
        specs[VECTOR] |= {"names": list(inputs.features), "beside": others}
    rows = raw if texts is None else captions.raw_of(raw, texts)
    columns_decoded, console = {}, console or QUIET
    for name, (kind, cells) in columns.items():
        own, once = dict(specs[name]), texts is not None and cells is not texts
        d = decoded(raw if once else rows, name, kind, cells, own, streaming, console)
        columns_decoded[name] = (kind, own, captions.beside(d, texts) if once else d)
        notes.extend(d.notes)
    shown = {n: cells for n, (kind, cells) in columns.items() if kind == "text"}
    if texts is not None:
        shown = {n: c if c is texts else Picked(c, texts.owner) for n, c in shown.items()}
    source_of = _described(source, wanted, label, notes, size) | {"group": group, "group_from": group_from}
    source_of["looks_grouped"] = None if guess is None else {"hint": guess[0], "cut": guess[1]}
    table = _table(rows, columns_decoded, shown, splits, said, max_bad, source_of)
    notes.extend(filter(None, (c.too_long() for c in table.columns.values())))
    for text in notes.warnings:
        console.warn(text)
    return _aside(table, tuple(beside)) if beside else table


def _opened(
    source: Any, stream: bool, expected: Mapping[str, Any], missing: Sequence[str], max_bad: float
) -> Raw:  # fmt: skip
    raw = open_source(source, stream=stream, **expected)
    if len(raw) == 0:
        raise DataError("there are no rows.", where=name_of(source))
    _tolerated(raw, raw.bad, max_bad)
    columns = {n: without(c, missing) for n, c in raw.columns.items()} if missing else raw.columns
    return replace(raw, columns=columns, missing=tuple(missing))


def _say_doubts(columns: Mapping[str, tuple[str, Any]], notes: Findings) -> None:
    """What a modality reads in another way than it stands there."""
    for name, (kind, cells) in columns.items():
        if hasattr(module := MODALITIES.get(kind), "doubts"):
            for doubt in module.doubts(name, cells):
                notes.warn(doubt)


def _spread(
    columns: dict[str, tuple[str, Any]], several: bool, notes: Findings
) -> tuple[dict[str, tuple[str, Any]], captions.Texts | None]:
    """The columns, with one cell for each text in place of lists of them."""
    found = captions.texts_of(columns)
    if found is None:
        return columns, None
    name, texts = found
    if not several:
        raise DataError(f"the cells of {name!r} hold lists of texts.", hint="Give one text a row.")
    notes.append(captions.about(name, texts))
    return {**columns, name: ("text", texts)}, texts


def _planned(
    columns: dict[str, tuple[str, Any]], train: np.ndarray | None, texts: captions.Texts | None, options: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """What each column's modality needs to know, found on training rows; columns of one modality share it."""
    by_kind: dict[Any, list[str]] = {}
    for name, (kind, cells) in columns.items():
        own = cells.shape[1:] if isinstance(cells, np.ndarray) else None  # rows of numbers share it if equally long
        by_kind.setdefault((kind, own), []).append(name)
    specs = {}
    for (kind, _), names in by_kind.items():
        cells = [_some(columns[n][1], train, texts) for n in names]
        spec = MODALITIES.get(kind).plan(concatenated(cells), options)
        specs |= dict.fromkeys(names, spec)
    return specs


def _some(cells: Any, rows: np.ndarray | None, texts: captions.Texts | None = None) -> Any:
    """The cells of these rows; those of an array on disk all, since it is not read for this."""
    if rows is not None and texts is not None and cells is not texts:
        rows = np.unique(texts.owner[rows])
    if rows is None or not len(rows) or isinstance(cells, np.memmap):
        return cells
    return cells[rows] if isinstance(cells, np.ndarray) else Picked(cells, rows)


def _aside(table: Table, names: tuple[str, ...]) -> Table:
    """The table with columns of hard negatives apart from the sides of a row."""
    sides = {n: c for n, c in table.columns.items() if n not in names}
    hashes = _row_hashes([c.hashes for c in sides.values()])
    beside = {n: table.columns[n] for n in names}
    return replace(table, columns=sides, negatives=beside, hashes=hashes, fingerprint=_fingerprint(hashes))


# --- the table ----------------------------------------------------------------------------------------------------


def _table(
    raw: Raw, columns: dict[str, tuple[str, dict[str, Any], Decoded]], shown: dict[str, Any],
    splits: dict[str, np.ndarray], said: Said, max_bad: float, source: dict[str, Any],
) -> Table:  # fmt: skip
    bad: dict[int, str] = {}
    for _, _, d in columns.values():
        bad |= d.bad
    bad |= raw.bad
    skipped = _tolerated(raw, bad, max_bad)
    good = np.setdiff1d(np.arange(len(raw)), np.asarray(sorted(bad), np.int64))
    hashes = _row_hashes([d.hashes for _, _, d in columns.values()])
    made = {n: _column(n, kind, spec, d, good if bad else None) for n, (kind, spec, d) in columns.items()}
    for name, cells in shown.items():
        made[name] = replace(made[name], cells=Picked(cells, good) if bad else cells)
    if bad:
        place = np.full(len(raw), -1)
        place[good] = np.arange(len(good))
        splits = {s: place[r][place[r] >= 0] for s, r in splits.items()}
        said = said.of(good)
        hashes = hashes[good]
        source["notes"].append(about_skipped(skipped))
    return Table(
        made, [raw.names[int(i)] for i in good] if bad else raw.names, hashes,
        splits={s: np.asarray(r, np.int64) for s, r in splits.items()}, skipped=skipped, source=source,
        fingerprint=_fingerprint(hashes), **vars(said),
    )  # fmt: skip


def _row_hashes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Hash of the ordered cells of every row, uint64 (N,); that of a single column is its own."""
    found = columns[0]
    for hashes in columns[1:]:
        found = found * np.uint64(0x9E3779B97F4A7C15) + hashes  # odd, so what came before stays distinct
        found = (found ^ (found >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return found


def _fingerprint(hashes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(hashes).data).hexdigest()[:16]


def _tolerated(raw: Raw, bad: Mapping[int, str], max_bad: float) -> tuple[Skipped, ...]:
    """The bad rows with their names; raises a `DataError` where they are too many."""
    skipped = tuple(Skipped(raw.names[i], reason) for i, reason in sorted(bad.items()))
    if len(bad) > max_bad * len(raw) and not (len(bad) == 1 and max_bad and len(raw) >= ONE_IN):
        listed = "; ".join(f"{s.name} {s.reason}" for s in skipped[:5])
        raise DataError(
            f"{len(bad)} of {len(raw)} rows cannot be read: {listed}{'; …' if len(bad) > 5 else ''}.",
            hint=_way_out(skipped, len(bad) < len(raw)),
        )
    return skipped


def _way_out(skipped: tuple[Skipped, ...], some_are_good: bool) -> str:
    """What to do about rows that cannot be read."""
    reasons = " ".join(s.reason for s in skipped[:100])
    if "no UTF-8" in reasons:
        return UTF8
    if " cell" in reasons and ", expected " in reasons:
        return "Put texts with commas into quotation marks, or bring a .txt with a line a row."
    return f"Mend or remove them{', or train with --set data.max_bad=1, which skips them' if some_are_good else ''}."


def _column(name: str, kind: str, spec: dict[str, Any], d: Decoded, good: np.ndarray | None) -> Column:
    d = d if good is None else d.of(good, some_rows(d.values, good))
    return Column(name, kind, spec, d.values, d.geometry, d.hashes, lengths=d.lengths)


def _described(
    source: Any, column: tuple[str, ...], label: str | None, notes: Findings, size: int | None
) -> dict[str, Any]:
    path = None
    if isinstance(source, str | os.PathLike):
        here = Path(os.path.expanduser(source))
        path = str(here.absolute() if here.exists() or expanded(str(here)) else source)
    about = {"notes": notes, "warnings": notes.warnings}
    return {"source": path, "column": list(column), "label": label, "size": size, **about}
