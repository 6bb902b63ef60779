"""A column whose rows are decoded when they are asked for, for what fits neither the memory nor the cache.

It stands where an array stands (`Column.values`). Which rows come next is a formula of the seed: `expecting`
keeps the next batches ready; what was not expected is decoded at once, with the same result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.decoding.workers import CHUNK, Decoder, Form, automatic
from nearfar.data.readers import parquet, raw

AHEAD = 3  # batches kept ready
BUFFER = 256  # MiB of encoded rows kept in memory where rows are read by pages


@dataclass(frozen=True)
class Streaming:
    """How rows come."""

    wanted: bool | str = False  # decode while training; "auto": where the decoded data do not fit
    workers: int | None = None  # processes that decode; None: all cores but one; 0: threads of this process
    buffer: int = BUFFER  # MiB of encoded rows kept in memory

    @property
    def processes(self) -> int:
        """As a number."""
        return automatic() if self.workers is None else self.workers


@dataclass(frozen=True)
class Blocks:
    """Which rows lie together in a file, where reading others beside each other is dear."""

    of_row: np.ndarray  # int (N,), number of the block of every row
    together: int  # blocks that are in memory at once


class Streamed:
    """Rows (N, ...) that are decoded when they are asked for: the encoded `cells`, called by their `names`.

    `hashes`, uint64 (N,), are what each row's content has to be: the run's splits and figures rest on it. The other
    arguments are those of `Decoder`.
    """

    def __init__(
        self, cells: Sequence[Any], names: Sequence[str], kind: str, spec: Mapping[str, Any], form: Form,
        hashes: np.ndarray, streaming: Streaming, say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.cells, self.names, self.kind, self.spec = cells, names, kind, spec
        self.form, self.hashes, self.streaming, self.say = form, hashes, streaming, say
        self.processes = streaming.processes
        self.shape, self.dtype, self.nbytes = (len(hashes), *form.shape), form.dtype, len(hashes) * form.nbytes
        self._threads = Decoder(kind, spec, form)
        self._decoder: Decoder | None = None
        self._feeder: ThreadPoolExecutor | None = None
        self._upcoming: Iterator[np.ndarray] = iter(())
        self._ready: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        self._missed = 0

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Decoded rows; one row without its first axis for a whole number.

        Raises a `DataError` where a row is no longer what it was when the data were looked through.
        """
        if isinstance(rows, int | np.integer):
            return self._decoded(self._threads, np.asarray([rows]))[0]
        rows = np.arange(len(self))[rows]
        place = next((i for i, (expected, _) in enumerate(self._ready) if np.array_equal(expected, rows)), None)
        if place is not None:
            values, self._missed = self._ready[place][1].result(), 0
            for _ in range(place + 1):
                self._ready.popleft()
            self._look_ahead()
            return values
        # Decoded at once; after many such batches in a row, those that are ready are given up for later ones.
        self._missed += len(self._ready) > 0
        if self._missed > 2 * AHEAD:
            self._ready.clear()
            self._missed = 0
            self._look_ahead()
        return self._decoded(self._threads, rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def some(self, rows: np.ndarray) -> Streamed:
        """Some of the rows."""
        cells, names = raw.Picked(self.cells, rows), raw.Picked(self.names, rows)
        return Streamed(cells, names, self.kind, self.spec, self.form, self.hashes[rows], self.streaming, self.say)

    @contextmanager
    def expecting(self, upcoming: Iterable[np.ndarray]) -> Iterator[None]:
        """Within this context the next batches of rows are decoded ahead by processes, which end with it."""
        parquet.MEMORY.limit = max(parquet.KEPT, self.streaming.buffer * 2**20)
        self._decoder = Decoder(self.kind, self.spec, self.form, self.processes, self.say)
        self._feeder = ThreadPoolExecutor(1, "nearfar-ahead")
        self._upcoming = iter(upcoming)
        try:
            self._look_ahead()
            yield
        finally:
            self._upcoming = iter(())
            self._ready.clear()
            self._feeder.shutdown(wait=True, cancel_futures=True)
            self._decoder.close()
            parquet.MEMORY.limit = parquet.KEPT

    def _look_ahead(self) -> None:
        while len(self._ready) < AHEAD and (rows := next(self._upcoming, None)) is not None:
            self._ready.append((rows, self._feeder.submit(self._decoded, self._decoder, rows)))

    def _decoded(self, decoder: Decoder, rows: np.ndarray) -> np.ndarray:
        batch = decoder.decode(self.cells, rows)
        for place, reason in batch.bad.items():
            raise DataError(
                f"could be read when the data were looked through, and now {reason}.",
                where=str(self.names[int(rows[place])]), hint="Bring it back and pass --resume.",
            )  # fmt: skip
        if len(changed := np.flatnonzero(batch.hashes != self.hashes[rows])):
            raise DataError(
                "was changed since the data were looked through.", where=str(self.names[int(rows[changed[0]])]),
                hint="Begin the training again.",
            )  # fmt: skip
        return batch.values

    @property
    def blocks(self) -> Blocks | None:
        """Rows that are read together, or None where every row is as near as any other."""
        pages = raw.blocks(self.cells)
        return None if pages is None else Blocks(pages, max(1, self.streaming.buffer * 2**20 // parquet.PAGE - 1))

    def memory(self, batch: int) -> int:
        """Bytes that looking ahead takes at most for batches of so many rows, without encoded rows that are under way.

        `AHEAD` batches that are ready, one that is filled, one that is handed out, and the buffer of pages.
        """
        pages = 0 if raw.blocks(self.cells) is None else self.streaming.buffer * 2**20
        return (AHEAD + 2) * batch * self.form.nbytes + pages + 2 * self.processes * CHUNK * self.form.nbytes
