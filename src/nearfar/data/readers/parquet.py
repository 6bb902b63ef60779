"""Columns of Parquet files that stay on disk: a page is read when a row of it is asked for.

Labels and other small columns are read whole; the pictures themselves are not. Pages of all files share one memory
of a fixed size, `MEMORY`, from which the page unused for longest goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from nearfar.core.errors import BadCell, DataError, reason
from nearfar.data.readers.raw import Cells, Numbered, Raw, check_names, of_arrow

PAGE = 4 * 2**20  # bytes of a page; a row group that is smaller is one page
KEPT = 8 * 2**20  # bytes of pages kept while data are read once, in their order
OPEN = 8  # files that are open at once
CHECKED = {"page_checksum_verification": True}  # of the files that have checksums
BUFFER = 2**20  # bytes that pyarrow reads ahead of what it decodes


class Memory:
    """Pages by name, up to `limit` bytes; one page is kept even where it is larger.

    `lock` is held while a page is read: Arrow's files are not for two threads at once.
    """

    def __init__(self, limit: int = KEPT) -> None:
        self.limit, self.lock = limit, threading.RLock()
        self._pages: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._columns: OrderedDict[LazyColumn, None] = OrderedDict()

    def get(self, name: Any) -> Any:
        """The page, or None."""
        if name not in self._pages:
            return None
        self._pages.move_to_end(name)
        return self._pages[name][0]

    def put(self, name: Any, page: Any, nbytes: int) -> None:
        """Keep a page, and let go of those unused for longest."""
        self._pages[name] = (page, nbytes)
        while len(self._pages) > 1 and sum(n for _, n in self._pages.values()) > self.limit:
            self._pages.popitem(last=False)

    def opened(self, column: LazyColumn) -> None:
        """Note that the column has its file open, and close the one unused for longest."""
        self._columns[column] = None
        self._columns.move_to_end(column)
        while len(self._columns) > OPEN:
            self._columns.popitem(last=False)[0].close()


MEMORY = Memory()


class LazyColumn:
    """One column of a Parquet file, called `name` at its top level, with the length and the index of an Arrow column.

    `open_file` gives what `pyarrow.parquet.ParquetFile` opens: a path, or a file object.
    """

    def __init__(self, open_file: Callable[[], Any], name: str, metadata: Any) -> None:
        self.open_file, self.name = open_file, name
        starts, groups, sizes = [0], [], []
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            parts = [group.column(c) for c in range(group.num_columns)]
            nbytes = sum(p.total_uncompressed_size for p in parts if p.path_in_schema.split(".")[0] == name)
            size = group.num_rows if nbytes <= PAGE else max(1, group.num_rows * PAGE // nbytes)
            before, pages = starts[-1], range(0, group.num_rows, max(1, size))
            starts += [before + min(p + size, group.num_rows) for p in pages]
            groups += [g] * len(pages)
            sizes += [size] * len(pages)
        self.starts, self.groups, self.sizes = (np.asarray(a, np.int64) for a in (starts, groups, sizes))
        self._cursor: tuple[int, Iterator[pa.ChunkedArray]] | None = None  # the page that comes next, and those after

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> pa.Scalar:
        """The cell of row `index`; raises `BadCell` where its part of the file is damaged."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        page = int(np.searchsorted(self.starts, index, side="right")) - 1
        with MEMORY.lock:  # also around the read: one page is never read twice at the same time
            if (rows := MEMORY.get((self, page))) is None:
                try:
                    rows = self._read(page)
                    MEMORY.put((self, page), rows, rows.nbytes)
                except pa.ArrowMemoryError:
                    raise
                except Exception as e:  # a damaged file may raise anything
                    self.close()
                    rows = BadCell(f"lies in a damaged part of the file ({reason(e)})")
                    MEMORY.put((self, page), rows, 0)
        if isinstance(rows, BadCell):
            raise rows
        return rows[int(index - self.starts[page])]

    def part(self, field: str) -> pa.ChunkedArray | None:
        """Structs of one field of the cells alone, read whole; None where they have none of that name."""
        with parquet.ParquetFile(self.open_file(), **CHECKED) as file:
            path = f"{self.name}.{field}"
            there = any(file.schema.column(i).path == path for i in range(len(file.schema)))
            return file.read(columns=[path], use_threads=False).column(0) if there else None

    def blocks(self) -> np.ndarray:
        """Number of the page of every row, int32 (N,)."""
        return np.repeat(np.arange(len(self.groups), dtype=np.int32), np.diff(self.starts))

    def close(self) -> None:
        """Let go of the file until the next row is asked for."""
        self._cursor = None

    def _read(self, page: int) -> pa.ChunkedArray:
        """Go on from the page read last where that is before this one in the same row group, else from its start."""
        group = self.groups[page]
        if self._cursor is None or self._cursor[0] > page or self.groups[self._cursor[0]] != group:
            self._cursor = (int(np.searchsorted(self.groups, group)), self._pages(int(group), int(self.sizes[page])))
        at, pages = self._cursor
        for _ in range(at, page):
            next(pages)
        if len(rows := next(pages)) != self.starts[page + 1] - self.starts[page]:
            raise ValueError("fewer rows than its header declares")
        ends_group = page + 1 == len(self.groups) or self.groups[page + 1] != group
        self._cursor = None if ends_group else (page + 1, pages)
        if not ends_group:
            MEMORY.opened(self)
        return rows

    def _pages(self, group: int, size: int) -> Iterator[pa.ChunkedArray]:
        """The pages of a row group, `size` rows each but the last."""
        # Without pre-buffering and with a buffer of its own, a row group is streamed, not read at once.
        file = parquet.ParquetFile(self.open_file(), buffer_size=BUFFER, pre_buffer=False, **CHECKED)
        parts, rows = [], 0
        for batch in file.iter_batches(size, row_groups=[group], columns=[self.name], use_threads=False):
            parts.append(batch.column(0))
            rows += len(batch)
            while rows >= size:
                whole = pa.chunked_array(parts)
                yield whole.slice(0, size)
                parts, rows = whole.slice(size).chunks, rows - size
        if rows:
            yield pa.chunked_array(parts)


def open_parquet(open_file: Callable[[], Any], name: str, folder: Path, files: tuple[Path, ...] = ()) -> Raw:
    """A `Raw` of a Parquet file: bytes, structs and lists stay on disk, all other columns are read.

    Raises a `DataError` where its columns are unequal in length or equal in name, and whatever pyarrow raises about a
    damaged file.
    """
    types, where = pa.types, str(files[0] if files else name)
    heavy = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_nested)
    with parquet.ParquetFile(open_file(), **CHECKED) as file:
        schema, metadata = file.schema_arrow, file.metadata
        check_names(schema.names, where)
        light = [f.name for f in schema if not any(check(f.type) for check in heavy)]
        raw = of_arrow(file.read(columns=light, use_threads=False), name, folder, files)
    raw.columns = {
        n: raw.columns[n] if n in light else Cells(LazyColumn(open_file, n, metadata)) for n in schema.names
    }  # fmt: skip
    raw.names = Numbered(name, metadata.num_rows)
    if any(len(c) != len(raw) for c in raw.columns.values()):
        raise DataError("is damaged: its columns have different lengths.", where=where)
    return raw
