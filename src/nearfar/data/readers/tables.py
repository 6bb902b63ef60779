"""CSV, TSV, JSON lines and Parquet: one file, or a folder of them named after their splits.

Of Parquet only the small columns are read; pictures stay in the file (see `nearfar.data.readers.parquet`). JSON is
read row by row where Arrow's reader, which is quicker, gives up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nearfar.core.errors import DataError
from nearfar.data.readers import _csv, _files, folders
from nearfar.data.readers.parquet import open_parquet
from nearfar.data.readers.raw import Numbered, Raw, cells_of, of_arrow, valid

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
BOM = b"\xef\xbb\xbf"
EXAMPLE = 'A row is an object on a line of its own, such as {"text": "…", "label": "…"}.'

RANK = 2  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file with one of the endings, or a folder of such files (`nearfar.data.readers.folders.chosen`)."""
    return folders.recognised(path, ENDINGS) or (path.is_dir() and _names_pictures(path))


def open(path: Path) -> Raw:
    """The rows in the order of the files and of their lines."""
    over_pictures = path.is_dir() and not folders.chosen(path, ENDINGS)
    return folders.opened(path, ENDINGS, _read, over_pictures=over_pictures)


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
    ending = file.suffix.lower()
    with _files.damage(file, ending[1:]):
        if ending == ".parquet":
            return open_parquet(lambda: _files.arrow_source(file), name, file.parent, (file,))
        if ending not in (".csv", ".tsv"):
            return _of_json(file, name)
        table, bad, notes = _csv.table(file)
    raw = of_arrow(table, name, file.parent, (file,), bytes_are_text=True)
    raw.bad, raw.notes = bad, tuple(notes)
    return raw


# --- JSON ---------------------------------------------------------------------------------------------------------


def _of_json(file: Path, name: str) -> Raw:
    """JSON lines, or one list of objects."""
    from pyarrow import json as arrow

    _files.head_of(file)
    try:
        table = arrow.read_json(_files.arrow_source(file))
        if dates := [(f.name, pa.string()) for f in table.schema if pa.types.is_timestamp(f.type)]:  # as in a CSV
            texts = arrow.ParseOptions(explicit_schema=pa.schema(dates))
            table = arrow.read_json(_files.arrow_source(file), parse_options=texts)
        if all(map(_as_written, table.columns)):
            return of_arrow(table, name, file.parent, (file,))
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pass  # mixed types, a line that is no JSON, a list around all, a row of more than a mebibyte
    rows = list(_rows(file.read_bytes().removeprefix(BOM), file))
    good = [r for r in rows if isinstance(r, dict)]
    if not good:
        why = f"row 1 {rows[0]}" if rows else "it is empty"
        raise DataError(f"holds no rows: {why}.", where=str(file), hint=EXAMPLE)
    columns: dict[str, Any] = {}
    for key in dict.fromkeys(k for r in good for k in r):
        columns[key] = cells = [r.get(key) if isinstance(r, dict) else None for r in rows]
        try:  # as Arrow's reader gives them, where they are of one kind
            columns[key] = cells_of(pa.chunked_array([pa.array(cells)]), file.parent)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            continue
    bad = {i: r for i, r in enumerate(rows) if isinstance(r, str)}
    return Raw(columns, Numbered(name, len(rows)), files=(file,), bad=bad)


def _as_written(column: Any) -> bool:
    """Whether Arrow gives what stands there: it checks no UTF-8, rounds long numbers, and makes dates in lists."""
    if pa.types.is_string(column.type):
        return valid(column)
    if pa.types.is_floating(column.type):
        return (pc.max(pc.abs(column)).as_py() or 0) < 2**53
    return "timestamp" not in str(column.type)


def _rows(content: bytes, file: Path) -> Iterator[dict[str, Any] | str]:
    """Every row, or why it is none."""
    if content.lstrip().startswith(b"["):
        try:
            yield from map(_row, json.loads(content, object_pairs_hook=_once))
        except (ValueError, RecursionError) as e:
            raise DataError(f"cannot be read as JSON ({e}).", where=str(file), hint=EXAMPLE) from e
        return
    for line in filter(bytes.strip, content.split(b"\n")):
        try:
            yield _row(json.loads(line.decode("utf-8"), object_pairs_hook=_once))
        except UnicodeDecodeError as e:
            yield _files.not_utf8(e)
        except (ValueError, RecursionError) as e:
            yield f"is no JSON ({e})"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [k for k, _ in pairs]
        raise ValueError(f"{next(k for k in keys if keys.count(k) > 1)!r} stands there twice")
    return row


def _row(value: Any) -> dict[str, Any] | str:
    kind = {list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number")
    return value if isinstance(value, dict) else f"is {kind}, no object"
