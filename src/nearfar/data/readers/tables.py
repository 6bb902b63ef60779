"""CSV, TSV, JSON lines and Parquet: one file, or a folder of them named after their splits.

Of Parquet only the small columns are read; pictures stay in the file (see `nearfar.data.lazy`).
"""

from __future__ import annotations

from pathlib import Path

from nearfar.data.lazy import open_parquet
from nearfar.data.raw import Raw, joined, of_arrow, split_of
from nearfar.errors import DataError

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")

RANK = 2  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A file with one of the endings, or a folder that holds such files and nothing deeper."""
    if path.is_file():
        return path.suffix.lower() in ENDINGS
    return path.is_dir() and bool(_tables(path))


def _tables(folder: Path) -> list[Path]:
    files = [f for f in sorted(folder.iterdir()) if f.suffix.lower() in ENDINGS and not f.name.startswith(".")]
    named = [f for f in files if split_of(f.stem)]
    return named or files


def open(path: Path) -> Raw:
    """The rows in the order of the files and of their lines."""
    if path.is_file():
        return _read(path, path.parent)
    parts = [(split_of(f.stem), _read(f, path)) for f in _tables(path)]
    return joined(parts)


def _read(file: Path, folder: Path) -> Raw:
    import pyarrow as pa

    try:
        if file.suffix.lower() == ".parquet":
            return open_parquet(lambda: str(file), file.name, file.parent, (file,))
        table = _arrow(file)
    except (pa.ArrowException, UnicodeDecodeError) as e:
        raise DataError(f"cannot be read as {file.suffix[1:]} ({_first_line(e)}).", where=str(file)) from e
    except OSError as e:
        raise DataError(f"cannot be read ({e.strerror or _first_line(e)}).", where=str(file)) from e
    if len(set(table.column_names)) < table.num_columns:
        raise DataError("has two columns of the same name.", where=str(file))
    return of_arrow(table, file.name, file.parent, (file,))


def _as_bytes(table):  # noqa: ANN001, ANN202 - a pyarrow.Table
    """With text that is no UTF-8 as bytes, so that its rows can be named; a column that is text throughout stays."""
    import pyarrow as pa

    for i, name in enumerate(table.column_names):
        column = table.column(i)
        if not pa.types.is_string(column.type):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            table = table.set_column(i, name, column.cast(pa.binary()))
    return table


def _arrow(file: Path):  # noqa: ANN202 - a pyarrow.Table
    import pyarrow as pa

    ending = file.suffix.lower()
    if ending in (".csv", ".tsv"):
        from pyarrow import csv

        parse = csv.ParseOptions(delimiter="\t" if ending == ".tsv" else ",", newlines_in_values=True)
        try:
            return csv.read_csv(file, parse_options=parse, convert_options=csv.ConvertOptions(strings_can_be_null=True))
        except pa.ArrowInvalid as e:
            if "UTF8" not in str(e):
                raise
        return _as_bytes(csv.read_csv(
            file, parse_options=parse,
            convert_options=csv.ConvertOptions(strings_can_be_null=True, check_utf8=False),
        ))  # fmt: skip
    from pyarrow import json

    return json.read_json(file)


def _first_line(e: Exception) -> str:
    return str(e).splitlines()[0] if str(e) else type(e).__name__
