"""Further places for the lines of metrics, besides ``metrics.jsonl``."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nearfar.core import files
from nearfar.core.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from pathlib import Path

    from nearfar.models.run import Run

EVENTS = "events.out.tfevents."  # how TensorBoard knows its files


class Sink(Protocol):
    """Takes one line of metrics at a time."""

    def write(self, row: dict[str, Any]) -> None: ...


class TensorBoard:
    """An event file in ``RUN/tensorboard``, one curve a number.

    It is written here: the library's own writer is a thread, which cannot say in a sentence that the disk is full.
    """

    @staticmethod
    def check() -> None:
        """Raises `ConfigError` if the library is missing."""
        import importlib.util

        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "TensorBoard is not installed.", where="train.log", hint='Say pip install "nearfar[log]".'
            )

    def __init__(self, run: Run) -> None:
        self.run = run
        lines = run.metrics()
        points = [self._points(line, time.time() - lines[-1]["seconds"] + line["seconds"]) for line in lines]
        self.file.parent.mkdir(exist_ok=True)
        files.write_atomic(self.file, _record(file_version="brain.Event:2") + b"".join(points))
        for other in self.file.parent.glob(f"{EVENTS}*"):
            if other != self.file:
                other.unlink()  # of a training that is gone on with, whose points are in this one

    @property
    def file(self) -> Path:
        """Where it lies now, since a run may be swapped to its place."""
        return self.run.path / "tensorboard" / f"{EVENTS}nearfar"

    def write(self, row: dict[str, Any]) -> None:
        """One point on each curve."""
        files.append(self.file, self._points(row, time.time()))

    def _points(self, row: dict[str, Any], when: float) -> bytes:
        from torch.utils.tensorboard.summary import scalar

        return b"".join(
            _record(wall_time=when, step=row["step"], summary=scalar(name, value))
            for name, value in row.items() if name != "step" and isinstance(value, int | float)
        )  # fmt: skip


def _record(**said: Any) -> bytes:
    """An event as a record of an event file."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = io.BytesIO()
    RecordWriter(written).write(Event(**said).SerializeToString())
    return written.getvalue()


SINKS = {"tensorboard": TensorBoard}


def check(names: Sequence[str]) -> None:
    """See whether there are such sinks, before anything is begun.

    Raises
    ------
    UnknownName, ConfigError
        There is none of that name, or its library is missing.
    """
    for name in names:
        if name not in SINKS:
            raise UnknownName("place for metrics", name, SINKS, where="train.log")
        SINKS[name].check()


def sinks(names: Sequence[str], run: Run | None) -> list[Sink]:
    """The sinks of those names, open, with the lines that the run has."""
    return [SINKS[name](run) for name in names]
