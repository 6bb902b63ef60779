"""What a reader hands over: named columns of cells that are not decoded yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfar.core.errors import BadCell, DataError, cell_or_error, reason
from nearfar.core.names import printable

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
SOUND_ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")
FILE_ENDINGS = (*IMAGE_ENDINGS, *SOUND_ENDINGS)  # of files that are a cell by themselves
EXACT = 2**53  # whole numbers beyond this are no longer exact as floats


@dataclass
class Raw:
    """Columns as they lie in a container.

    Parameters
    ----------
    columns : dict of str to sequence
        Cells by column: an array (N, ...) or anything with a length and an index.
    names : sequence of str
        Where each row is.
    splits : list of str or None
        Split of each row, in the usual names.
    label : str, optional
        Column of the labels, where the container says so.
    classes : dict of str to list of str
        Class names by column, where the container has them.
    files : tuple of Path
        What was read: the cache is keyed by these.
    key : str
        Names the content where there are no files, such as addresses that never change; the cache is keyed by it too.
    notes : tuple of str
        How it was read.
    warnings : tuple of str
        What was left out or may surprise; said even where notes are not.
    bad : dict of int to str
        Rows that cannot be read at all, and why; their cells are empty.
    index : tuple of str
        Columns that only number or name the rows, such as the index of a `pandas` table; embedded only when named.
    sides : tuple of str
        Columns that are the sides of a row, where the container says so.
    kinds : dict of str to str
        Modality by column, where the container says it.
    recordings : list of str or None
        What each row was cut from; rows of one recording are never held apart.
    missing : tuple of str
        Cells that count as empty ones; the cache is keyed by these too.
    """

    columns: dict[str, Any]
    names: Sequence[str]
    splits: list[str] | None = None
    label: str | None = None
    classes: dict[str, list[str]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    key: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    bad: dict[int, str] = field(default_factory=dict)
    index: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    recordings: list[str] | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.names, list):
            self.names = [printable(n) for n in self.names]

    def __len__(self) -> int:
        return len(self.names)


def joined(parts: list[tuple[str | None, Raw]]) -> Raw:
    """Several containers of the same columns, each with its split, as one; lists of optional values may be missing.

    Raises a `DataError` where their columns differ.
    """
    first, kinds = parts[0][1], {k: type(c) for _, p in parts for k, c in p.columns.items()}
    for _, part in parts:
        if any(k not in part.columns and kind is not list for k, kind in kinds.items()):
            raise DataError(
                f"the files have different columns: {', '.join(kinds)}, and {', '.join(part.columns)}.",
                where=part.names[0] if len(part) else None,
            )
    classes = {k: c for _, p in reversed(parts) for k, c in p.classes.items()}
    for k in [k for k, c in classes.items() if any(p.classes.get(k, c) != c for _, p in parts)]:
        for _, p in parts:  # the same number means another class in each
            p.columns[k] = named(p.columns[k], p.classes.get(k, classes[k]), k)
        del classes[k]
    splits: list[str] | None = None
    if any(s or p.splits for s, p in parts):
        splits = [v for s, p in parts for v in (p.splits if p.splits and not s else [s or "train"] * len(p))]
    notes, warnings = (tuple(n for _, p in parts for n in getattr(p, kind)) for kind in ("notes", "warnings"))
    if splits and (rest := [p for s, p in parts if not s and not p.splits and len(p)]):
        where = str(rest[0].names[0]).rpartition(":")[0] or rest[0].names[0]
        rows = sum(map(len, rest))
        warnings += (f"Splits: {rows:,} rows that no split is named for ({where} …) count as the split train.",)
    starts = np.cumsum([0, *(len(p) for _, p in parts)]).tolist()
    return replace(
        first,
        columns={k: concatenated([p.columns.get(k, [None] * len(p)) for _, p in parts]) for k in kinds},
        names=concatenated([p.names for _, p in parts]), splits=splits, classes=classes, notes=notes, warnings=warnings,
        files=tuple(f for _, p in parts for f in p.files), key="\n".join(p.key for _, p in parts if p.key),
        bad={start + i: why for start, (_, p) in zip(starts, parts, strict=False) for i, why in p.bad.items()},
    )  # fmt: skip


def named(cells: Sequence[Any], classes: Sequence[str], column: str) -> list[str | None]:
    """Names of the classes that cells number, or are; None for empty cells and negative numbers.

    Raises a `DataError` for a cell that is neither the number nor the name of a class.
    """
    names: list[str | None] = []
    for cell in cells:
        if isinstance(cell, str) and cell.strip() in classes:
            names.append(cell.strip())
            continue
        try:
            number = -1 if cell is None or cell != cell else int(cell)
        except (TypeError, ValueError):
            number = len(classes)
        if number >= len(classes):
            raise DataError(
                f"the column {column!r} holds {str(cell)!r}, which is none of its {len(classes):,} classes.",
                hint=f"These are 0 to {len(classes) - 1:,}, or their names.",
            )
        names.append(None if number < 0 else classes[number])
    return names


# --- columns of Arrow ---------------------------------------------------------------------------------------------


class Cells(Sequence):
    """One column of an Arrow table, or a `LazyColumn` of parquet.py.

    Text is a path relative to `folder`, if that is given; with `text`, bytes that are UTF-8 are text.
    """

    def __init__(self, column: Any, folder: Path | None = None, text: bool = False) -> None:
        self.column, self.folder, self.text = column, folder, text

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, index: int) -> Any:
        """The cell; raises `BadCell` where Python cannot hold it, or its part of the file is damaged."""
        scalar = self.column[int(index)]
        try:
            return self._cell(scalar.as_py())
        except (ValueError, OverflowError) as e:  # a date far away, text that is not UTF-8
            raise BadCell(f"cannot be read ({reason(e)})") from e

    def __iter__(self) -> Iterator[Any]:
        """The cells, and the `BadCell` in place of one that raises it."""
        return (cell_or_error(self, i) for i in range(len(self)))

    def blocks(self) -> np.ndarray | None:
        """Page of every row where the column stays on disk."""
        return blocks(self.column)

    def paths(self) -> list[str | None] | None:
        """The paths that the cells are or hold, as they are written there; None where they are something else."""
        column = self.column
        if self.folder is None:
            column = column.part("path") if hasattr(column, "part") else column
            if column is None or not pa.types.is_struct(column.type) or column.type.get_field_index("path") < 0:
                return None
            column = pc.struct_field(column, "path")
        return column.to_pylist()

    def files(self) -> list[Path]:
        """Files that the cells name; those whose content a cell holds itself may be among them."""
        return [self._cell(t) if self.folder else Path(t) for t in self.paths() or () if t]

    def _cell(self, value: Any) -> Any:
        if self.folder is not None and isinstance(value, str):
            return self.folder / value
        if self.text and isinstance(value, bytes):
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value
        if isinstance(value, dict) and self.folder is None and value.get("bytes") is None and value.get("path"):
            return Path(value["path"])
        return value


def of_arrow(
    table: pa.Table, name: str, folder: Path, files: tuple[Path, ...] = (), *, bytes_are_text: bool = False
) -> Raw:  # fmt: skip
    """A `Raw` from an Arrow table that came from the file called `name` in `folder`."""
    check_names(table.column_names, str(files[0] if files else name))
    index = _stored(table.schema, b"pandas").get("index_columns", ())
    try:
        features = _stored(table.schema, b"huggingface")["info"]["features"]
        labels = {k: f for k, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
        classes = {k: list(f["names"]) for k, f in labels.items()}
    except (KeyError, TypeError):
        classes = {}
    return Raw(
        {c: cells_of(table.column(c), folder, bytes_are_text=bytes_are_text) for c in table.column_names},
        Numbered(name, table.num_rows), classes=classes, files=files,
        index=tuple(c for c in index if isinstance(c, str) and c in table.column_names),
    )  # fmt: skip


def _stored(schema: pa.Schema, library: bytes) -> dict[str, Any]:
    """What a library has left in a file's metadata."""
    try:
        stored = json.loads((schema.metadata or {})[library])
    except (KeyError, ValueError):
        stored = None
    return stored if isinstance(stored, dict) else {}


def check_names(names: list[str], where: str) -> None:
    """Raise a `DataError` where two columns have the same name."""
    if len(set(names)) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        digits = name.strip().lstrip("+-").replace(".", "", 1).isdigit()
        hint = "Put a line with the names of the columns above the first." if digits else "Rename one of them."
        raise DataError(f"has two columns of the same name, {name!r}.", where=where, hint=hint)


def cells_of(column: pa.ChunkedArray, folder: Path, *, bytes_are_text: bool = False) -> Any:
    """The cells of an Arrow column: an array of numbers where these are exact in it, else `Cells`."""
    kind = column.type
    if (plain := _plain(column)).type != kind:
        return cells_of(plain, folder, bytes_are_text=bytes_are_text)
    if pa.types.is_integer(kind) and column.null_count:  # floats, which can be missing, round what is beyond EXACT
        ends = pc.min_max(column).as_py()
        exact = column.null_count == len(column) or max(abs(ends["min"]), abs(ends["max"])) <= EXACT
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False) if exact else Cells(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy(zero_copy_only=False)
    if is_text(kind) and valid(column):
        return Cells(column, folder if are_files([v for v in column.slice(0, 100).to_pylist() if v]) else None)
    if is_text(kind):
        return Cells(column.cast(pa.binary()), text=True)
    return Cells(column, text=bytes_are_text and pa.types.is_binary(kind))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values without the way in which they were stored: as categories, runs or views."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return pa.chunked_array([pc.run_end_decode(c) for c in column.chunks], kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    return column


def are_files(texts: Sequence[str]) -> bool:
    """Whether most are named as pictures or as sounds are."""
    return 2 * sum(t.lower().endswith(FILE_ENDINGS) for t in texts) > len(texts)


def valid(column: Any) -> bool:
    """Whether strings of an Arrow column are UTF-8 throughout, which its readers of JSON and Parquet do not check."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of the two of strings that are left by `cells_of`."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


# --- sequences that are not copied --------------------------------------------------------------------------------


def concatenated(pieces: list[Any]) -> Any:
    """Sequences one after the other, as one of the same kind where that is cheap."""
    if len(pieces) == 1:
        return pieces[0]
    if all(isinstance(p, list) for p in pieces):
        return [v for p in pieces for v in p]
    if all(isinstance(p, np.ndarray) and not isinstance(p, np.memmap) for p in pieces):
        return np.concatenate(pieces)
    return Chain(pieces)


class Chain(Sequence):
    """Sequences one after the other."""

    def __init__(self, pieces: list[Any]) -> None:
        self.pieces, self.ends = pieces, np.cumsum([len(p) for p in pieces])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]
        piece = int(np.searchsorted(self.ends, index, side="right"))
        return self.pieces[piece][index - (int(self.ends[piece - 1]) if piece else 0)]

    def blocks(self) -> np.ndarray | None:
        """Pages of all pieces, numbered through; None where a piece has none."""
        pages = [blocks(p) for p in self.pieces]
        if any(b is None for b in pages):
            return None
        before = np.cumsum([0, *[int(b.max(initial=-1)) + 1 for b in pages]])
        return np.concatenate([b + start for b, start in zip(pages, before, strict=False)])


@dataclass(frozen=True)
class Picked(Sequence):
    """Some rows of a sequence."""

    cells: Sequence[Any]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.cells[int(self.rows[index])]

    def blocks(self) -> np.ndarray | None:
        """Pages of these rows."""
        pages = blocks(self.cells)
        return None if pages is None else pages[self.rows]


class Numbered(Sequence):
    """The names ``file:1``, ``file:2`` … without a list of them."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = printable(name), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> str:
        return f"{self.name}:{range(self.count)[index] + 1}"


def blocks(cells: Any) -> np.ndarray | None:
    """Number of the page of every row where rows are cheap to read only beside each other, else None."""
    pages = getattr(cells, "blocks", None)
    return None if pages is None else pages()
