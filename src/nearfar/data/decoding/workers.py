"""Cells in, arrays out: decoded by several threads or processes, in their order.

A process that decodes imports neither torch nor the program that started it more than Python's ``spawn`` asks for; it
ignores Ctrl-C, which is for the one that trains, and ends by itself when that one is gone, however it went.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from nearfar.core.environment import end_with_parent
from nearfar.core.errors import BadCell, cell_or_error
from nearfar.core.registry import MODALITIES

CHUNK = 16  # cells that go to a process at once
MOST = 8  # processes that "auto" takes; more seldom find work


@dataclass
class Decoded:
    """Decoded rows."""

    values: Any  # (N, ...); those of bad rows are zero, or missing where they are streamed
    geometry: np.ndarray | None  # int32 (N, G); 1 for bad rows
    hashes: np.ndarray  # uint64 (N,), of every row's content
    bad: dict[int, str]  # why a row cannot be read, by its place
    lengths: np.ndarray | None = None  # int32 (N,), before rows were cut; None where the modality does not say
    notes: tuple[str, ...] = ()

    def put(self, start: int, part: Decoded) -> None:
        """Fill in rows from `start` on; where the values of these rows are not kept, all but those."""
        rows = slice(start, start + len(part.hashes))
        for name in ("values", "geometry", "hashes", "lengths"):
            own = getattr(self, name)
            if own is not None and own.nbytes:
                own[rows] = getattr(part, name)
        self.bad.update({start + i: reason for i, reason in part.bad.items()})

    def of(self, rows: np.ndarray, values: Any) -> Decoded:
        """Some rows, given their values."""
        bad = {int(i): self.bad[int(rows[i])] for i in np.flatnonzero(np.isin(rows, list(self.bad)))}
        geometry, lengths = (None if a is None else a[rows] for a in (self.geometry, self.lengths))
        return Decoded(values, geometry, self.hashes[rows], bad, lengths, self.notes)


@dataclass(frozen=True)
class Form:
    """What one decoded row looks like."""

    shape: tuple[int, ...]
    dtype: np.dtype
    geometry: int  # its length; 0: none
    lengths: bool = False  # whether the modality says how long rows were

    def empty(self, rows: int, values: Any = None) -> Decoded:
        """So many rows of zeros, or `values`."""
        values = np.zeros((rows, *self.shape), self.dtype) if values is None else values
        geometry = np.ones((rows, self.geometry), np.int32) if self.geometry else None
        lengths = np.zeros(rows, np.int32) if self.lengths else None
        return Decoded(values, geometry, np.zeros(rows, np.uint64), {}, lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


class Decoder:
    """Decodes cells of one column by `processes`, or by threads of this one (0); `say` is told where they are given up.

    `kind` is the name of the modality, `spec` what its `plan` made.
    """

    def __init__(
        self, kind: str, spec: Mapping[str, Any], form: Form, processes: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.kind, self.spec, self.form, self.processes = kind, dict(spec), form, processes
        self.say = say or (lambda _: None)
        self._pool: Executor | None = None
        self._lock = threading.Lock()

    def decode(self, cells: Sequence[Any], rows: Sequence[int] | np.ndarray) -> Decoded:
        """The cells of `rows`; what cannot be read is in `Decoded.bad`."""
        if not self.processes and hasattr(MODALITIES.get(self.kind), "decode_many"):
            return decode_cells(self.kind, self.spec, self.form, [cell_or_error(cells, int(i)) for i in rows])
        out = self.form.empty(len(rows))
        starts = range(0, len(rows), CHUNK)
        chunks = ((start, [cell_or_error(cells, int(i)) for i in rows[start : start + CHUNK]]) for start in starts)
        for start, part in self._in_order(chunks):
            out.put(start, part)
        return out

    def close(self) -> None:
        """End processes and threads; another `decode` starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _in_order(self, chunks: Iterator[tuple[int, list[Any]]]) -> Iterator[tuple[int, Decoded]]:
        """Decoded chunks; no more are under way than keep all processes busy, so memory stays bounded."""
        ahead = 2 * max(1, self.processes or _cores() + 2)
        under_way: deque[tuple[int, list[Any], Future[Decoded]]] = deque()
        for start, cells in islice(chunks, ahead):
            under_way.append((start, cells, self._submit(cells)))
        while under_way:
            start, cells, future = under_way.popleft()
            yield start, self._result(future, cells)
            if (more := next(chunks, None)) is not None:
                under_way.append((*more, self._submit(more[1])))

    def _submit(self, cells: list[Any]) -> Future[Decoded]:
        with self._lock:
            if self._pool is None and self.processes:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.processes, spawn, initializer=_begin)
            elif self._pool is None:
                self._pool = ThreadPoolExecutor(min(16, _cores() + 2))  # some wait for the disk
            pool = self._pool
        try:
            return pool.submit(decode_cells, self.kind, self.spec, self.form, cells)
        except RuntimeError as e:  # the pool is broken, or was shut down by the thread that noticed first
            broken: Future[Decoded] = Future()
            broken.set_exception(BrokenProcessPool(str(e)))
            return broken

    def _result(self, future: Future[Decoded], cells: list[Any]) -> Decoded:
        try:
            return future.result()
        except BrokenProcessPool:
            with self._lock:
                first, self.processes = self.processes, 0
                pool, self._pool = self._pool, None if first else self._pool
            if first:
                pool.shutdown(wait=False, cancel_futures=True)
                self.say(
                    "the processes that decode were ended from outside or could not start (a script needs "
                    "`if __name__ == '__main__':` around its calls); threads decode from here on."
                )
            return decode_cells(self.kind, self.spec, self.form, cells)


def decode_cells(kind: str, spec: Mapping[str, Any], form: Form, cells: Iterable[Any]) -> Decoded:
    """Decode cells here and now; a cell may be the `BadCell` that fetching it raised."""
    cells, module = list(cells), MODALITIES.get(kind)
    if hasattr(module, "decode_many"):
        values, bad = module.decode_many(cells, spec)
        out = Decoded(values, None, np.empty(0, np.uint64), bad)
    else:
        out = form.empty(len(cells))
        for i, cell in enumerate(cells):
            try:
                if isinstance(cell, BadCell):
                    raise cell
                out.values[i], own = module.decode(cell, spec)
                if out.geometry is not None:
                    out.geometry[i] = own
            except BadCell as e:
                out.values[i], out.bad[i] = 0, str(e)
    out.hashes = content_hashes(out.values)
    out.lengths = module.lengths(cells, out.values, spec) if form.lengths else None
    return out


def content_hashes(rows: np.ndarray) -> np.ndarray:
    """64-bit hash of every row's content, uint64 (N,)."""
    if not rows.size:
        return np.zeros(len(rows), np.uint64)
    content, size = memoryview(np.ascontiguousarray(rows)).cast("B"), rows[0].nbytes
    digests = (hashlib.blake2b(content[i : i + size], digest_size=8).digest() for i in range(0, len(content), size))
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def automatic(shared_by: int = 1) -> int:
    """Processes that "auto" means: one for each core but that which trains."""
    return max(1, min(MOST, _cores() // shared_by - 1))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    """A process that decodes: Ctrl-C is not for it, and it does not outlive the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
