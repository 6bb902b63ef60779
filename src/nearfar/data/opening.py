"""Which reader opens what people name: a path, a pattern of paths or a hub name; objects from Python: objects.py."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from glob import glob
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError, nearest
from nearfar.data.objects import open_object, rows_of
from nearfar.data.readers import folders, structure
from nearfar.data.readers.raw import FILE_ENDINGS, SOUND_ENDINGS, Raw, joined

if TYPE_CHECKING:
    from nearfar.data.table import Table

ENDINGS = (*FILE_ENDINGS, ".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".npz", ".npy", ".tar")
LONG = 400  # characters of a name that messages show
SHARDS = 1_000_000  # more names than this are no list of files but a slip of the keyboard


def open_source(
    source: Any, *, stream: bool = False, modality: str | None = None, spec: Mapping[str, Any] | None = None
) -> Raw:
    """Columns of cells, which are not decoded yet, of a path, a pattern, a name on the hub, or an object.

    With `stream`, the hub is read as needed, instead of downloading first. A `modality` that is expected says whether a
    list of strings is one of texts or of paths; the `spec` of a trained model tells one picture from several.
    """
    if not isinstance(source, str | os.PathLike):
        return open_object(source, modality, spec)
    raw = _open_path(str(Path(source)) if isinstance(source, os.PathLike) else source, stream)
    name, cells = next(iter(raw.columns.items()), ("", None))
    if len(raw.columns) == 1 and not raw.kinds and isinstance(cells, np.ndarray) and cells.ndim > 1:  # a file of arrays
        rows = rows_of(cells, modality, spec)
        if len(rows) != len(cells):
            return Raw({name: rows}, [name_of(source)], files=raw.files)
    return raw


def name_of(source: Any) -> str:
    """What messages call it."""
    return str(source) if isinstance(source, str | os.PathLike) else "data"


def one_text(source: Any, modality: str) -> Any:
    """A single string for a model of texts as a list of it, unless it names what is there to read.

    Raises a `DataError` where it may as well be a name: of a file that is not there, or of a data set on the hub.
    """
    if modality != "text" or not isinstance(source, str) or source.startswith("hf:") or _exists(source):
        return source
    hint = f"To take it as a text, pass [{source!r}]."
    is_path = source.lower().endswith(ENDINGS) or source.startswith(("/", "./", "../", "~/"))
    if is_path and not re.search(r"\s", source):
        if expanded(source):
            return source
        raise DataError("there is no such file or folder.", where=source, hint=hint)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError("may be a text, or the name of a data set on the hub.", where=source,
                        hint=f"For the data set pass {'hf:' + source!r}. {hint}")  # fmt: skip
    return [source]


def one_at_a_time(table: Table, inputs: Any) -> None:
    """Raise a `DataError` where rows that were read to be encoded have several columns; a `Table` is taken as it is."""
    if len(table.columns) > 1 and table is not inputs:
        raise DataError(
            f"a row has several columns ({', '.join(table.columns)}), and one is encoded at a time.",
            hint="Choose one with column=, or bring it alone.",
        )


def _exists(path: str | Path) -> bool:
    """Whether there is such a file or folder; what is too long for a name is none."""
    return os.path.exists(os.path.expanduser(path))


def _open_path(text: str, stream: bool) -> Raw:
    if not text:
        raise DataError("no data were named.", hint="Name a file, a folder or a data set on the hub.")
    path = Path(os.path.expanduser(text))
    if _exists(path):
        return _open_existing(path, text)
    if files := expanded(str(path)):
        return _open_several(files)
    hub = text.count("/") == 1 and not text.startswith((".", "/", "~")) and " " not in text
    if text.startswith("hf:") or (hub and not _exists(Path(text).parent)):
        from nearfar.data.readers.saved import open_hub

        return open_hub(text, stream=stream)
    near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if os.path.isdir(path.parent) else []
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See `nearfar train --help` for what is read."
    named = str(path) if len(str(path)) < LONG else f"{str(path)[:LONG]} …"
    raise DataError("there is no such file or folder.", where=named, hint=hint)


def _open_several(files: list[Path]) -> Raw:
    """Files that a pattern names: splits by their names and folders, as in a folder."""
    shared = structure.shared(f.parts[:-1] for f in files)  # folders that the pattern does not vary say nothing
    places = [(*f.parts[shared:-1], f.stem) for f in files]
    level = structure.find(places)
    splits = [level.of(p) if level else None for p in places]
    parts = [(s, _open_existing(f, str(f))) for s, f in zip(splits, files, strict=True)]
    if level is None or "train" not in splits:
        return joined(parts)
    raw = joined([(s, part) for s, part in parts if s])
    if left := [f"{f.name} ({len(part):,} rows)" for f, (s, part) in zip(files, parts, strict=True) if not s]:
        raw.warnings += (f"Left out: {structure.listed(left)}; only what is named after a split is read.",)
    return raw


def _open_existing(path: Path, text: str) -> Raw:
    folders.listing.cache_clear()
    try:
        if path.is_dir() and not any(path.iterdir()):
            raise DataError("the folder is empty.", where=text)
        if (reader := folders.reader(path)) is not None:
            return reader.open(path)
    except PermissionError as e:
        raise DataError("may not be read (permission).", where=str(e.filename or text)) from e
    finally:
        folders.listing.cache_clear()
    if path.is_file() or path.suffix.lower() in FILE_ENDINGS:
        kind = "sound" if path.suffix.lower() in SOUND_ENDINGS else "image"
        return Raw({kind: [path]}, [path.name], files=(path,))
    raise DataError(
        "holds nothing that is read: no pictures, sounds, text, CSV, JSON lines, Parquet, npz, npy, tar or saved data "
        "set.",
        where=text,
    )


def expanded(pattern: str) -> list[Path]:
    """The files that a pattern names, in order: ``train-{000..009}.tar``, ``{a,b}.parquet``, ``*.tar``.

    Raises a `DataError` where nothing is there for one of the names between braces: a shard that is left out would be
    left out silently.
    """
    if not set("{*?[") & set(pattern):
        return []
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if np.prod([float(len(c)) for c in choices]) > SHARDS:
        raise DataError(f"names more than {SHARDS:,} files.", where=pattern)
    files: list[Path] = []
    missing: list[str] = []
    for name in map("".join, product(*choices)):
        some = sorted(glob(name)) if set("*?[") & set(name) else [name]
        gone = [f for f in some if not Path(f).exists() and not Path(f).is_symlink()] or ([] if some else [name])
        missing += gone[:1]
        files += map(Path, some)
    if files and missing:
        raise DataError("there is no such file.", where=missing[0], hint=f"It is one of {pattern}.")
    return files


def _choices(inside: str) -> list[str]:
    """What stands between braces: ``000..009`` counts with its zeros, ``a,b`` lists."""
    if (span := re.fullmatch(r"(\d+)\.\.(\d+)", inside)) is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    if last - first >= SHARDS:
        raise DataError(f"names more than {SHARDS:,} files.", where="{" + inside + "}")
    return [str(i).zfill(len(span[1])) for i in range(first, last + 1)]
