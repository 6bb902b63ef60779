"""JSON lines, and JSON files with one list of objects; row by row where Arrow's reader, which is quicker, gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfar.core.errors import DataError
from nearfar.data.readers import _encoding
from nearfar.data.readers.raw import Raw, cells_of, of_arrow, valid

HEAD = 2**16  # bytes looked at
BOM = b"\xef\xbb\xbf"
EXAMPLE = 'A row is an object on a line of its own, such as {"text": "…", "label": "…"}.'


def opened(file: Path) -> Raw:
    """The rows in their order.

    Raises
    ------
    DataError
        There is no row.
    """
    import pyarrow as pa
    from pyarrow import json as arrow

    with file.open("rb") as f:
        head = f.read(HEAD)
    _encoding.check(head, file)
    try:
        table = arrow.read_json(_encoding.arrow_source(file))
        if dates := [(f.name, pa.string()) for f in table.schema if pa.types.is_timestamp(f.type)]:  # as in a CSV
            texts = arrow.ParseOptions(explicit_schema=pa.schema(dates))
            table = arrow.read_json(_encoding.arrow_source(file), parse_options=texts)
        if all(map(_as_written, table.columns)):
            return of_arrow(table, file.name, file.parent, (file,))
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pass  # mixed types, a line that is no JSON, a list around all, a row of more than a mebibyte
    return _of_rows(list(_rows(file.read_bytes().removeprefix(BOM), file)), file)


def _as_written(column: Any) -> bool:
    """Whether Arrow gives what stands there: it checks no UTF-8, rounds long numbers, and makes dates in lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        return valid(column)
    if pa.types.is_floating(column.type):
        return (pc.max(pc.abs(column)).as_py() or 0) < 2**53
    return "timestamp" not in str(column.type)


def _rows(content: bytes, file: Path) -> Iterator[dict[str, Any] | str]:
    """Every row, or why it is none."""
    if content.lstrip().startswith(b"["):
        try:
            for value in json.loads(content, object_pairs_hook=_once):
                yield _row(value)
        except (ValueError, RecursionError) as e:
            raise DataError(f"cannot be read as JSON ({e}).", where=str(file), hint=EXAMPLE) from e
        return
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            yield _row(json.loads(line.decode("utf-8"), object_pairs_hook=_once))
        except UnicodeDecodeError as e:
            yield _encoding.reason(e)
        except (ValueError, RecursionError) as e:
            yield f"is no JSON ({e})"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [k for k, _ in pairs]
        raise ValueError(f"{next(k for k in keys if keys.count(k) > 1)!r} stands there twice")
    return found


def _row(value: Any) -> dict[str, Any] | str:
    kind = {list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number")
    return value if isinstance(value, dict) else f"is {kind}, no object"


def _of_rows(rows: list[dict[str, Any] | str], file: Path) -> Raw:
    good = [r for r in rows if isinstance(r, dict)]
    if not good:
        why = f"row 1 {rows[0]}" if rows else "it is empty"
        raise DataError(f"holds no rows: {why}.", where=str(file), hint=EXAMPLE)
    names = dict.fromkeys(k for r in good for k in r)
    columns = {n: _column([r.get(n) if isinstance(r, dict) else None for r in rows], file.parent) for n in names}
    bad = {i: r for i, r in enumerate(rows) if isinstance(r, str)}
    return Raw(columns, [f"{file.name}:{i + 1}" for i in range(len(rows))], files=(file,), bad=bad)


def _column(cells: list[Any], folder: Path) -> Any:
    """As Arrow's reader gives them, where they are of one kind."""
    import pyarrow as pa

    try:
        return cells_of(pa.chunked_array([pa.array(cells)]), folder)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return cells
