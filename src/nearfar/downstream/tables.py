"""Tables that verbs write: one row a result, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.core import files
from nearfar.core.errors import ConfigError

ENDINGS = (".csv", ".parquet")


def check_out(out: str | Path, *read: Any, endings: Sequence[str] = ENDINGS) -> None:
    """Raise a `ConfigError` where the file of ``--out`` has another ending, cannot be written, or is one of those read.

    What is `read` and is no path, such as an array, does not matter.
    """
    if Path(out).suffix not in endings:
        raise ConfigError(f"cannot write {Path(out).suffix or 'a file without ending'}.", where="--out",
                          hint=f"Use one of {', '.join(endings)}.")  # fmt: skip
    files.check_target(out, *(r for r in read if isinstance(r, str | Path)))


def write(path: str | Path, kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows; `kinds` names the columns in their order, and Arrow's type of each."""
    if Path(path).suffix == ".csv":
        text = io.StringIO()
        lines = csv.DictWriter(text, list(kinds), lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)
        files.write_text(path, text.getvalue())
        return
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kinds.items()])
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows), schema), buffer)
    files.write_atomic(path, buffer.getvalue())
