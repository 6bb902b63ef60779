"""CSV and TSV as people have them: other separators, rows of another width, cells that are no UTF-8."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.readers import _encoding

OTHERS = ";\t|"  # what separates cells where the first line has no comma
HEAD = 2**16  # bytes looked at
SAYS = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)\r?\n")  # the line that spreadsheets put above
BLOCK = 2**31 - 1  # bytes that one row may have
BYTES = "latin1"  # reads every byte as a character, and writes it as the same byte
WORDS = 3  # a name of a column has hardly more
UNCLOSED = "Close it, or write a quotation mark inside a cell twice, in quotation marks."


def table(file: Path) -> tuple[Any, dict[int, str], list[str]]:
    """The cells as a pyarrow.Table, why rows are none by their number, and notes.

    Raises
    ------
    DataError
        It is no UTF-8 throughout, or a quotation mark is never closed.
    """
    with file.open("rb") as f:
        head = f.read(HEAD)
    _encoding.check(head, file)
    mark, notes = _separator(head, file)
    wrong: list[Any] = []
    above = SAYS.match(head) is not None
    as_it_is = _encoding.is_utf8(file)
    read = _read(file, mark, wrong, int(above), "utf8" if as_it_is else BYTES)
    read = read if as_it_is else _of_bytes(read)
    read, bad = _with_gaps(read, [(row.number - 2 - above, _reason(row, file)) for row in wrong])
    if not bad:
        _check_last(read, file)
    plain = [n.strip() for n in read.column_names]
    if len(set(plain)) == len(plain):  # "a, b" names the column b
        read = read.rename_columns(plain)
    return read, bad, notes + _about_names(read.column_names, file)


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


def _read(file: Path, mark: str, wrong: list[Any], above: int, encoding: str) -> Any:
    """The rows that have as many cells as the first line; the others go to `wrong`."""
    import pyarrow as pa
    from pyarrow import csv

    def note(row: Any) -> str:
        wrong.append(row)
        return "skip"

    def attempt(handler: Any = None, block: int | None = None) -> Any:
        wrong.clear()
        sized = {"block_size": block} if block else {}
        options = csv.ReadOptions(use_threads=handler is None, skip_rows=above, encoding=encoding, **sized)
        parse = csv.ParseOptions(delimiter=mark, newlines_in_values=True, invalid_row_handler=handler)
        texts = _texts(file, mark, above, encoding)
        convert = csv.ConvertOptions(strings_can_be_null=True, null_values=[""], column_types=texts)
        source = _encoding.arrow_source(file)
        return csv.read_csv(source, read_options=options, parse_options=parse, convert_options=convert)

    given: dict[str, Any] = {}
    while True:
        try:
            return attempt(**given)
        except pa.ArrowInvalid as e:
            said = str(e)
            more = (
                {"handler": note} if "Expected" in said and "columns" in said
                else {"block": min(BLOCK, file.stat().st_size + 1)} if "straddl" in said
                else {}
            )  # fmt: skip
            if not more or set(more) <= set(given):
                raise
            given |= more


def _texts(file: Path, mark: str, above: int, encoding: str) -> dict[str, Any]:
    """Every column as text: a guess at what cells mean would read ``007`` as 7 and the class NA as missing."""
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=mark, newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    options = csv.ReadOptions(skip_rows=above, encoding=encoding)
    with csv.open_csv(_encoding.arrow_source(file), read_options=options, parse_options=parse) as reader:
        return dict.fromkeys(reader.schema.names, pa.string())


def _of_bytes(table: Any) -> Any:
    """Of a table whose bytes were read as characters: text that is no UTF-8 as bytes, so that its cells can be told."""
    import pyarrow as pa

    columns = []
    for column in table.columns:
        cells = [None if c is None else c.encode(BYTES) for c in column.to_pylist()]
        try:
            columns.append(pa.array(cells, pa.binary()).cast(pa.string()))
        except pa.ArrowInvalid:
            columns.append(pa.array(cells, pa.binary()))
    return pa.table(columns, [n.encode(BYTES).decode("utf-8-sig") for n in table.column_names])


def _reason(row: Any, file: Path) -> str:
    text = str(row.text)
    lines = text.count("\n") + 1
    if lines > 1 and text.count('"') % 2:
        raise _unclosed(file, row.number - 1, lines)
    over = f" on {lines} lines" if lines > 1 else ""
    found = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
    return f"has {found}{over}, expected {row.expected_columns}"


def _check_last(read: Any, file: Path) -> None:
    """Arrow takes the end of the file for a missing quotation mark; then all lines from it on are one cell."""
    if not read.num_rows:
        return
    cells = [c[-1].as_py() for c in read.columns]
    last = next((c for c in reversed(cells) if c is not None), None)
    if not isinstance(last, str) or "\n" not in last.strip():
        return
    size = len(last.encode())
    with file.open("rb") as f:
        f.seek(max(0, file.stat().st_size - size - 2))
        end = f.read()
    if end.replace(b"\r", b"").endswith(last.replace("\r", "").encode()) and not end.rstrip().endswith(b'"'):
        raise _unclosed(file, read.num_rows, last.rstrip().count("\n") + 1)


def _unclosed(file: Path, row: int, lines: int) -> DataError:
    return DataError(
        f"a quotation mark that opens in row {row} is never closed, so {lines:,} lines would be one cell.",
        where=str(file), hint=UNCLOSED,
    )  # fmt: skip


def _with_gaps(read: Any, wrong: list[tuple[int, str]]) -> tuple[Any, dict[int, str]]:
    """The table with an empty row for each that was left out, so that rows keep their numbers."""
    import pyarrow as pa

    if not wrong:
        return read, {}
    bad = dict(wrong)
    total = read.num_rows + len(bad)
    places = np.full(total, -1)
    places[np.setdiff1d(np.arange(total), list(bad))] = np.arange(read.num_rows)
    return read.take(pa.array(places, mask=places < 0)), bad


def _about_names(names: list[str], file: Path) -> list[str]:
    """A first line that looks like a row is told."""
    odd = next((n for n in names if len(n.split()) > WORDS or _is_number(n)), None)
    if odd is None:
        return []
    shown = odd if len(odd) <= 40 else f"{odd[:39]}…"
    return [
        f"The first line of {file.name} was taken for names of columns, though {shown!r} looks like a cell; "
        "if it is one, put a line of names above it."
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
