"""An event file in ``RUN/tensorboard``, one curve a number.

It is written here: the library's own writer is a thread, which cannot say in a sentence that the disk is full.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from nearfar.core import files
from nearfar.core.errors import library
from nearfar.models.run import Run

EVENTS = "events.out.tfevents."  # how TensorBoard knows its files


def check() -> None:
    """Raise a `ConfigError` where the library is missing."""
    library("tensorboard", "log", "train.log")


def logger(run: Run) -> Callable[[dict[str, Any]], None]:
    """Write the lines that the run has, and each further one as it comes."""
    place = f"tensorboard/{EVENTS}nearfar"  # beneath `run.path`, which may change: a run may be swapped to its place
    lines = run.metrics()
    points = [_points(line, time.time() - lines[-1]["seconds"] + line["seconds"]) for line in lines]
    (run.path / place).parent.mkdir(exist_ok=True)
    files.write_atomic(run.path / place, _record(file_version="brain.Event:2") + b"".join(points))
    for other in (run.path / place).parent.glob(f"{EVENTS}*"):
        if other != run.path / place:
            other.unlink()  # of the training before it was resumed, whose points are in this one
    return lambda row: files.append(run.path / place, _points(row, time.time()))


def _points(row: dict[str, Any], when: float) -> bytes:
    from torch.utils.tensorboard.summary import scalar

    return b"".join(
        _record(wall_time=when, step=row["step"], summary=scalar(name, value))
        for name, value in row.items() if name != "step" and isinstance(value, int | float)
    )  # fmt: skip


def _record(**event: Any) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = io.BytesIO()
    RecordWriter(written).write(Event(**event).SerializeToString())
    return written.getvalue()
