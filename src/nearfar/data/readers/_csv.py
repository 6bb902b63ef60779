"""CSV and TSV as people have them: other separators, rows of another width, cells that are not UTF-8."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfar.core.errors import DataError
from nearfar.core.names import is_number
from nearfar.data.readers import _files

OTHERS = ";\t|"  # what separates cells where the first line has no comma
SAYS = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)\r?\n")  # the line that spreadsheets put above
BLOCK = 2**31 - 1  # bytes that one row may have
BYTES = "latin1"  # reads every byte as a character, and writes it as the same byte
WORDS = 3  # a name of a column has hardly more


def table(file: Path) -> tuple[pa.Table, dict[int, str], list[str]]:
    """The cells, why rows are none by their number, and notes.

    Raises a `DataError` where the file is not UTF-8 throughout, or a quotation mark is never closed.
    """
    head = _files.head_of(file)
    mark, notes = _separator(head, file)
    wrong: list[Any] = []
    above = SAYS.match(head) is not None
    utf8 = _files.is_utf8(file)
    read = _read(file, mark, wrong, int(above), "utf8" if utf8 else BYTES)
    if not utf8:
        read = _of_bytes(read)
    bad = {row.number - 2 - above: _reason(row, file) for row in wrong}
    if bad:  # an empty row for each that was left out, so that rows keep their numbers
        places = np.full(read.num_rows + len(bad), -1)
        places[np.setdiff1d(np.arange(len(places)), list(bad))] = np.arange(read.num_rows)
        read = read.take(pa.array(places, mask=places < 0))
    elif read.num_rows:
        _check_last(read, file)
    plain = [n.strip() for n in read.column_names]
    if len(set(plain)) == len(plain):  # "a, b" names the column b
        read = read.rename_columns(plain)
    odd = next((n for n in read.column_names if len(n.split()) > WORDS or is_number(n)), None)
    if odd is not None:
        shown = odd if len(odd) <= 40 else f"{odd[:39]}…"
        notes.append(f"The first line of {file.name} was taken for names of columns, though {shown!r} looks like a "
                     "cell; if it is one, put a line of names above it.")  # fmt: skip
    return read, bad, notes


def _separator(head: bytes, file: Path) -> tuple[str, list[str]]:
    """A comma, or a tab in a TSV; another where the first line has that and no comma, and the second has it too."""
    if file.suffix.lower() == ".tsv":
        return "\t", []
    if (says := SAYS.match(head)) is not None:
        return says[1].decode(), []
    first, second, *_ = [*head.decode("utf-8", "replace").splitlines(), "", ""]
    likely = max(OTHERS, key=first.count)
    if "," in first or not first.count(likely) or likely not in second:
        return ",", []
    shown = {"\t": "a tab"}.get(likely, repr(likely))
    return likely, [f"Cells of {file.name} are separated by {shown}: its first line has no comma."]


def _read(file: Path, mark: str, wrong: list[Any], above: int, encoding: str) -> pa.Table:
    """The rows that have as many cells as the first line; the others go to `wrong`."""
    from pyarrow import csv

    def note(row: Any) -> str:
        wrong.append(row)
        return "skip"

    # Every column as text: a guess at what cells mean would read 007 as 7 and the class NA as missing.
    parse = {"delimiter": mark, "newlines_in_values": True}
    skipping = csv.ParseOptions(**parse, invalid_row_handler=lambda _: "skip")
    options = csv.ReadOptions(skip_rows=above, encoding=encoding)
    with csv.open_csv(_files.arrow_source(file), read_options=options, parse_options=skipping) as reader:
        texts = dict.fromkeys(reader.schema.names, pa.string())
    convert = csv.ConvertOptions(strings_can_be_null=True, null_values=[""], column_types=texts)
    handler, sized = None, {}
    while True:
        wrong.clear()
        options = csv.ReadOptions(use_threads=handler is None, skip_rows=above, encoding=encoding, **sized)
        try:
            return csv.read_csv(_files.arrow_source(file), read_options=options, convert_options=convert,
                                parse_options=csv.ParseOptions(**parse, invalid_row_handler=handler))  # fmt: skip
        except pa.ArrowInvalid as e:  # each is mended once: rows of another width are left out, long rows given room
            if "Expected" in str(e) and "columns" in str(e) and handler is None:
                handler = note
            elif "straddl" in str(e) and not sized:
                sized = {"block_size": min(BLOCK, file.stat().st_size + 1)}
            else:
                raise


def _of_bytes(read: pa.Table) -> pa.Table:
    """Of a table whose bytes were read as characters: what is not UTF-8 stays bytes, so that its cells are known."""
    columns = []
    for column in read.columns:
        cells = pa.array([None if c is None else c.encode(BYTES) for c in column.to_pylist()], pa.binary())
        try:
            columns.append(cells.cast(pa.string()))
        except pa.ArrowInvalid:
            columns.append(cells)
    return pa.table(columns, [n.encode(BYTES).decode("utf-8-sig") for n in read.column_names])


def _reason(row: Any, file: Path) -> str:
    text = str(row.text)
    lines = text.count("\n") + 1
    if lines > 1 and text.count('"') % 2:
        raise _unclosed(file, row.number - 1, lines)
    over = f" on {lines} lines" if lines > 1 else ""
    cells = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
    return f"has {cells}{over}, expected {row.expected_columns}"


def _check_last(read: pa.Table, file: Path) -> None:
    """Arrow takes the end of the file for a missing quotation mark; then all lines from it on are one cell."""
    cells = [c[-1].as_py() for c in read.columns]
    last = next((c for c in reversed(cells) if c is not None), None)
    if not isinstance(last, str) or "\n" not in last.strip():
        return
    with file.open("rb") as f:
        f.seek(max(0, file.stat().st_size - len(last.encode()) - 2))
        end = f.read()
    if end.replace(b"\r", b"").endswith(last.replace("\r", "").encode()) and not end.rstrip().endswith(b'"'):
        raise _unclosed(file, read.num_rows, last.rstrip().count("\n") + 1)


def _unclosed(file: Path, row: int, lines: int) -> DataError:
    return DataError(
        f"a quotation mark that opens in row {row} is never closed, so {lines:,} lines would be one cell.",
        where=str(file), hint="Close it, or write a quotation mark inside a cell twice, in quotation marks.",
    )  # fmt: skip
