"""`read`: whatever people have → `Table`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.console import QUIET
from nearfar.core.errors import DataError, UnknownName
from nearfar.core.registry import MODALITIES
from nearfar.core.values import whole
from nearfar.data import captions, groups, interactions, looks_grouped, recordings, windows
from nearfar.data.columns import Findings, Said, limited, take_labels, take_scores, take_sets, take_splits, take_within
from nearfar.data.decoding.decode import UTF8, decoded
from nearfar.data.decoding.streaming import BUFFER, Streaming
from nearfar.data.facts import about_skipped
from nearfar.data.histories import HistoryCells
from nearfar.data.inputs import VECTOR, choose
from nearfar.data.numeric import without
from nearfar.data.opening import expanded, name_of, open_source
from nearfar.data.readers.raw import Picked, Raw, concatenated
from nearfar.data.table import Column, Skipped, Table
from nearfar.data.windows import Windows

if TYPE_CHECKING:
    from nearfar.core.console import Console

Cut = tuple[int | None, int | None]  # length of windows, and from one to the next; None where rows are whole
ONE_IN = 10  # rows, of which one may be bad whatever share is tolerated


def read(
    source: Any, *, column: Sequence[str] | str | None = None, negative: Sequence[str] = (), label: str | None = None,
    score: str | None = None, sets: str | None = None, group: str | None = None, group_from: str | None = None,
    within: str | None = None, split_column: str | None = None, user: str | None = None, time: str | None = None,
    rating: str | None = None, min_rating: float | None = None, items: str | None = None, leave_out: str = "auto",
    window: int | str | None = None, hop: int | str | None = "auto", size: int | None = None,
    depth: str = "auto", tokens: str = "auto", length: int | None = None,
    rate: int | None = None, seconds: float | None = None, normalise: str | None = None, trim: bool = True,
    preprocessing: Mapping[str, Any] | None = None, max_bad: float = 0.05,
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
    column, negative, label, … buffer : optional
        As in the section ``data`` of the configuration (core/config.py). Of columns that are not named one obvious
        candidate is taken and said; two are asked about.
    preprocessing : mapping, optional
        Of pictures, as a pretrained model wants them.
    modality, spec : optional
        Decode as a trained model does.
    known : mapping of str to (modality, spec), optional
        The same for columns of these names.
    several : bool
        A cell may hold a list of texts, each of which becomes a row; if not, that is an error.
    usual : str, optional
        What the column is called in the data that a model was trained on: the one to embed where there are several.
    console : Console, optional

    Raises
    ------
    DataError
        The data cannot be read or do not suffice; the message says where and what to do.
    StorageError
        The cache has no room for the decoded data, and they are not to be streamed.
    """
    missing = (missing,) if isinstance(missing, str) else missing
    limit = None if limit is None else whole(limit, "limit", 1)
    _check_modality(modality)
    raw = open_source(source, stream=stream is True, modality=modality, spec=spec)
    if len(raw) == 0:
        raise DataError("there are no rows.", where=name_of(source))
    _tolerated(raw, raw.bad, max_bad)
    columns = {n: without(c, missing) for n, c in raw.columns.items()} if missing else raw.columns
    raw = replace(raw, columns=columns, missing=tuple(missing))
    if raw.key and stream is True:
        stream = "auto"  # each picture comes over the network once, if the decoded form can be kept
    streaming = Streaming(stream, workers, buffer)
    notes = Findings(raw.notes, raw.warnings)

    wanted = (column,) if isinstance(column, str) else tuple(column or ())
    channels: Sequence[str] = ()
    cut: Cut = (None, None)
    if time is not None and user is None:
        said_beside = (label, split_column, within, score, sets)
        asked = wanted or tuple((spec or {}).get("names", ()))
        raw, channels, cut, group = _recorded(raw, time, group, asked, said_beside, window, hop, spec is None, notes)
        wanted, time = () if channels else wanted, None

    # What says something of the rows is taken out first: what is left may be embedded.
    there = list(raw.columns)
    splits = take_splits(raw, split_column, notes)
    said_of_items = {"time": time, "rating": rating, "min_rating": min_rating, "items": items}
    raw, splits = _users(raw, splits, user, wanted, said_of_items, leave_out, seed, max_bad, notes)
    sides = () if wanted or known else raw.sides
    wanted = wanted or sides
    trained = spec if modality == VECTOR else None
    inside = take_within(raw, within, (*wanted, *negative, label, score, sets, group), notes)
    together = groups.take(raw, group, group_from, notes, splits, (*wanted, *negative, score, sets), label)
    together = _by_recording(raw, together)
    kept = (*wanted, *negative, usual, *(trained or {}).get("names", ()))
    labels, label_names, label = take_labels(raw, label, notes, kept)
    said = Said(labels, label_names, take_scores(raw, score, notes), *take_sets(raw, sets), together, inside)
    guess = None if together is not None else looks_grouped.hint(raw, labels, splits, (*wanted, *negative))
    notes.extend([guess[0]] if guess else [])
    if limit is not None:
        raw, splits, kept = limited(raw, splits, limit, seed)
        said = said.of(kept)

    # Hard negatives are no sides of a row: they are chosen by themselves, and the sides among the rest.
    if twice := [c for c in wanted if wanted.count(c) > 1]:
        raise DataError(f"the column {twice[0]!r} is named twice.", where="--column")
    beside = choose(raw, tuple(negative), modality, Findings()).columns if negative else {}
    rest = replace(raw, columns={n: c for n, c in raw.columns.items() if n not in beside})
    inputs = choose(rest, wanted, modality, notes, trained, usual)
    if sides and (left := [c for c in rest.columns if c not in sides]):
        notes.warn(f"Left out: {', '.join(left)}, beside {' and '.join(sides)}.")
    columns = {**inputs.columns, **beside}
    for name, (kind, cells) in inputs.columns.items():  # what a modality reads in another way than it stands there
        for doubt in getattr(MODALITIES.get(kind), "doubts", lambda *_: ())(name, cells):
            notes.warn(doubt)

    # A cell of several texts becomes several rows, beside which the other columns are decoded once.
    rows, texts, cut = _expanded(raw, columns, several, window, hop, cut, notes)
    if texts is not None:
        alone = isinstance(texts, Windows)  # which are of one recording, a row of before
        said = replace(said, groups=_by_recording(raw, said.groups, always=alone)).of(texts.owner)
        splits = {s: np.flatnonzero(np.isin(texts.owner, r)) for s, r in splits.items()}
    options = {"size": size, "depth": depth, "tokens": tokens, "length": length, "preprocessing": preprocessing}
    options |= {"channels": list(channels), "rate": rate, "seconds": seconds, "normalise": normalise, "trim": trim}
    given = {} if spec is None else dict.fromkeys(columns, (modality, spec))
    specs = _planned(columns, splits.get("train"), texts, options, {**(known or {}), **given})
    if inputs.features and not trained:
        specs[VECTOR] |= {"names": list(inputs.features), "beside": [n for n in there if n not in inputs.features]}

    console = console or QUIET
    made, bad = _decoded(raw, rows, texts, columns, specs, streaming, notes, console)
    about = {"column": list(wanted), "label": label, "size": size, "group": group, "group_from": group_from}
    about |= {"window": cut[0], "hop": cut[1]}
    about["looks_grouped"] = None if guess is None else {"hint": guess[0], "cut": guess[1]}
    bad |= rows.bad
    table = _table(rows, made, list(beside), splits, said, bad, max_bad, {"source": source, **about}, notes)
    for text in notes.warnings:
        console.warn(text)
    return table


def _users(
    raw: Raw, splits: dict[str, np.ndarray], user: str | None, wanted: Sequence[str], about: dict[str, Any],
    leave_out: str, seed: int, max_bad: float, notes: Findings,
) -> tuple[Raw, dict[str, np.ndarray]]:  # fmt: skip
    """Interactions with one row for each user and no splits of rows; other data as they are."""
    if user is None:
        interactions.check_none(about)
        return raw, splits
    if len(wanted) != 1:
        raise DataError(f"beside the users in {user!r} one column of items is needed.", where="--pair",
                        hint="Name both: --pair USER ITEM.")  # fmt: skip
    content = None if about["items"] is None else open_source(about["items"])
    made, bad = interactions.of_raw(raw, user, wanted[0], **about | {"items": content}, splits=splits,
                                    leave_out=leave_out, seed=seed, notes=notes)  # fmt: skip
    if skipped := _tolerated(raw, bad, max_bad):
        notes.warn(about_skipped(skipped))
    files = raw.files if content is None else (*raw.files, *content.files)
    return replace(raw, columns={wanted[0]: HistoryCells(made)}, names=made.users, splits=None, label=None,
                   classes={}, files=files, bad={}, index=(), sides=()), {}  # fmt: skip


def _exploded(columns: dict[str, tuple[str, Any]], several: bool, notes: Findings) -> captions.Texts | None:
    """Puts one cell for each text in place of a column's lists of them, and gives these texts; None without any."""
    if (lists := captions.texts_of(columns)) is None:
        return None
    name, texts = lists
    if not several:
        raise DataError(f"the cells of {name!r} hold lists of texts.", hint="Give one text a row.")
    rows = len(texts.cells)
    notes.append(f"Several texts: {name!r} holds {len(texts) / rows:.1f} a row; each is a row of its own, "
                 f"{len(texts):,} in all from {rows:,}.")  # fmt: skip
    columns[name] = ("text", texts)
    return texts


def _expanded(
    raw: Raw, columns: dict[str, tuple[str, Any]], several: bool, window: int | str | None, hop: int | str | None,
    cut: Cut, notes: Findings,
) -> tuple[Raw, captions.Texts | Windows | None, Cut]:  # fmt: skip
    """The rows that cells of several texts, or recordings, become, which stand in their place in `columns` then."""
    texts: captions.Texts | Windows | None = _exploded(columns, several, notes)
    if texts is None and several and not raw.recordings:
        texts, cut = _windowed(columns, window, hop, notes)
    return raw if texts is None else captions.raw_of(raw, texts), texts, cut


def _check_modality(name: str | None) -> None:
    if name is not None and name not in MODALITIES:
        raise UnknownName("modality", name, MODALITIES, where="--modality")


def _recorded(
    raw: Raw, time: str, group: str | None, channels: Sequence[str], beside: Sequence[str | None],
    window: int | str | None, hop: int | str | None, needed: bool, notes: Findings,
) -> tuple[Raw, Sequence[str], Cut, str | None]:  # fmt: skip
    """A long table as recordings, with its channels, its windows and no group any more.

    What a model reads need not have times like its training data: unless they are `needed` it stays as it is.
    """
    if time not in raw.columns and not needed:
        return raw, (), (None, None), group if group in raw.columns else None
    made, names, *cut = recordings.of_table(raw, time, group, channels, beside, window, hop, notes)
    return made, names, (cut[0], cut[1]), None


def _by_recording(raw: Raw, together: np.ndarray | None, *, always: bool = False) -> np.ndarray | None:
    """Groups of rows: those that were asked for, else those of what was cut from one recording; `always`: each row."""
    if together is not None or not (raw.recordings or always):
        return together
    return groups.numbered(raw.recordings or list(raw.names))


def _windowed(
    columns: dict[str, tuple[str, Any]], window: int | str | None, hop: int | str | None, notes: Findings
) -> tuple[Windows | None, Cut]:
    """Puts windows in place of a column of recordings, where it is the only one, and gives them; None without any."""
    if len(columns) > 1:
        if isinstance(window, int):
            raise DataError("of several columns none is cut into windows.", where="--window")
        return None, (None, None)
    ((name, (kind, cells)),) = columns.items()
    found, length, step = windows.cut(cells, kind, window, hop, notes)
    if found is not None:
        columns[name] = (kind, found)
    return found, (length, step)


def _decoded(
    raw: Raw, rows: Raw, texts: captions.Texts | Windows | None, columns: dict[str, tuple[str, Any]],
    specs: dict[str, dict[str, Any]], streaming: Streaming, notes: Findings, console: Console,
) -> tuple[dict[str, Column], dict[int, str]]:  # fmt: skip
    """The columns, and what is wrong with rows that cannot be read; beside several texts a cell is decoded once."""
    made: dict[str, Column] = {}
    bad: dict[int, str] = {}
    for name, (kind, cells) in columns.items():
        own, once = specs[name], texts is not None and cells is not texts
        d = decoded(raw if once else rows, name, kind, cells, own, streaming, console)
        d = captions.beside(d, texts) if once else d
        notes.extend(d.notes)
        bad |= d.bad
        kept = None if kind == VECTOR else Picked(cells, texts.owner) if once else cells
        made[name] = Column(name, kind, own, d.values, d.geometry, d.hashes, kept, d.lengths)
    return made, bad


def _table(
    raw: Raw, columns: dict[str, Column], beside: Sequence[str], splits: dict[str, np.ndarray], said: Said,
    bad: dict[int, str], max_bad: float, source: dict[str, Any], notes: Findings,
) -> Table:  # fmt: skip
    """The rows that can be read; columns `beside` are hard negatives and no sides of a row."""
    names: Sequence[str] = raw.names
    skipped = _tolerated(raw, bad, max_bad)
    if bad:
        good = np.setdiff1d(np.arange(len(raw)), list(bad))
        names, said = [names[int(i)] for i in good], said.of(good)
        columns = {n: c.of(good) for n, c in columns.items()}
        place = np.full(len(raw), -1)
        place[good] = np.arange(len(good))
        splits = {s: place[r][place[r] >= 0] for s, r in splits.items()}
        notes.append(about_skipped(skipped))
    notes.extend(filter(None, (c.too_long() for c in columns.values())))
    if isinstance(path := source["source"], str | os.PathLike):
        here = Path(os.path.expanduser(path))
        source["source"] = str(here.absolute() if here.exists() or expanded(str(here)) else path)
    else:
        source["source"] = None
    sides = {n: c for n, c in columns.items() if n not in beside}
    hashes = _row_hashes([c.hashes for c in sides.values()])
    return Table(
        sides, names, hashes, skipped=skipped, splits={s: np.asarray(r, np.int64) for s, r in splits.items()},
        source={**source, "notes": notes, "warnings": notes.warnings}, negatives={n: columns[n] for n in beside},
        fingerprint=hashlib.sha256(np.ascontiguousarray(hashes).data).hexdigest()[:16], **vars(said),
    )  # fmt: skip


def _planned(
    columns: dict[str, tuple[str, Any]], train: np.ndarray | None, texts: captions.Texts | Windows | None,
    options: dict[str, Any], known: Mapping[str, tuple[str | None, Mapping[str, Any]]],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """What each column's modality needs to know: `known`, or found on training rows; those of one modality share it."""
    by_kind: dict[Any, list[str]] = {}
    specs = {}
    for name, (kind, cells) in columns.items():
        if name in known:
            if known[name][0] not in (kind, None):
                raise DataError(f"the column {name!r} holds {kind}, and {known[name][0]} is expected.")
            specs[name] = dict(known[name][1])
            continue
        own = cells.shape[1:] if isinstance(cells, np.ndarray) else None  # rows of numbers share it if equally long
        by_kind.setdefault((kind, own), []).append(name)
    for (kind, _), names in by_kind.items():
        pieces = []
        for cells in (columns[n][1] for n in names):
            rows = train if train is None or texts is None or cells is texts else np.unique(texts.owner[train])
            if rows is None or not len(rows) or isinstance(cells, np.memmap):  # which is not read for this
                pieces.append(cells)
            else:
                pieces.append(cells[rows] if isinstance(cells, np.ndarray) else Picked(cells, rows))
        plan = MODALITIES.get(kind).plan(concatenated(pieces), options)
        specs |= {n: dict(plan) for n in names}
    return specs


def _row_hashes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Hash of the ordered cells of every row, uint64 (N,); that of a single column is its own."""
    total = columns[0]
    for hashes in columns[1:]:
        total = total * np.uint64(0x9E3779B97F4A7C15) + hashes  # odd, so what came before stays distinct
        total = (total ^ (total >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return total


def _tolerated(raw: Raw, bad: Mapping[int, str], max_bad: float) -> tuple[Skipped, ...]:
    """The bad rows with their names; raises a `DataError` where they are too many."""
    skipped = tuple(Skipped(raw.names[i], reason) for i, reason in sorted(bad.items()))
    if len(bad) > max_bad * len(raw) and not (len(bad) == 1 and max_bad and len(raw) >= ONE_IN):
        listed = "; ".join(f"{s.name} {s.reason}" for s in skipped[:5])
        reasons = " ".join(s.reason for s in skipped[:100])
        if "not UTF-8" in reasons:
            hint = UTF8
        elif " cell" in reasons and ", expected " in reasons:
            hint = "Put texts with commas into quotation marks, or bring a .txt with a line a row."
        else:
            skip = ", or train with --set data.max_bad=1, which skips them" if len(bad) < len(raw) else ""
            hint = f"Mend or remove them{skip}."
        more = "; …" if len(bad) > 5 else ""
        raise DataError(f"{len(bad)} of {len(raw)} rows cannot be read: {listed}{more}.", hint=hint)
    return skipped
