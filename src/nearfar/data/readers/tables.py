"""CSV, TSV, JSON lines and Parquet: one file, or a folder of them named after their splits.

Of Parquet only the small columns are read; pictures stay in the file (see `nearfar.data.readers.parquet`).
"""

from __future__ import annotations

from pathlib import Path

from nearfar.core.errors import DataError
from nearfar.data.readers import _csv, _encoding, _json, folders
from nearfar.data.readers._damage import damage
from nearfar.data.readers.parquet import Numbered, open_parquet
from nearfar.data.readers.raw import Raw, of_arrow, repeated

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")

RANK = 2  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file with one of the endings, or a folder of such files (`nearfar.data.readers.folders.chosen`)."""
    if path.is_file():
        return path.suffix.lower() in ENDINGS
    return path.is_dir() and (bool(folders.chosen(path, ENDINGS)) or _names_pictures(path))


def open(path: Path) -> Raw:
    """The rows in the order of the files and of their lines."""
    if path.is_file():
        return _read(path, path.name)
    return folders.opened(path, ENDINGS, _read, over_pictures=not folders.chosen(path, ENDINGS))


def _names_pictures(folder: Path) -> bool:
    """Whether the tables of a folder say which of the pictures below it are rows, and what is known of them."""
    for _, place in folders.chosen(folder, ENDINGS, over_pictures=True):
        try:
            if any(map(folders.names_files, _read(folder.joinpath(*place), "").columns.values())):
                return True
        except DataError:
            continue
    return False


def _read(file: Path, name: str) -> Raw:
    raw = _cells(file)
    raw.names = Numbered(name, len(raw))
    return raw


def _cells(file: Path) -> Raw:
    ending = file.suffix.lower()
    with damage(file, ending[1:]):
        if ending == ".parquet":
            return open_parquet(lambda: _encoding.arrow_source(file), file.name, file.parent, (file,))
        if ending not in (".csv", ".tsv"):
            return _json.opened(file)
        table, bad, notes = _csv.table(file)
    names = table.column_names
    if len(set(names)) < len(names):
        raise repeated(names, str(file))
    raw = of_arrow(table, file.name, file.parent, (file,), bytes_are_text=True)
    raw.bad, raw.notes = bad, tuple(notes)
    return raw
