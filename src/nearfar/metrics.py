"""Further places for the lines of metrics, besides ``metrics.jsonl``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nearfar.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from nearfar.run import Run


class Sink(Protocol):
    """Takes one line of metrics at a time."""

    def write(self, row: dict[str, Any]) -> None: ...


class TensorBoard:
    """Event files in ``RUN/tensorboard``, one curve a number."""

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
        self._begin()

    def _begin(self) -> None:
        """Write all lines that the run has, and no others."""
        from torch.utils.tensorboard import SummaryWriter

        self.folder, lines = self.run.path / "tensorboard", self.run.metrics()
        for earlier in self.folder.glob("events.out.tfevents.*"):
            earlier.unlink()  # of a training that goes on it may hold points that come again
        self.writer = SummaryWriter(str(self.folder))
        for line in lines:
            self._add(line, time.time() - lines[-1]["seconds"] + line["seconds"])
        self.writer.flush()

    def write(self, row: dict[str, Any]) -> None:
        """One point on each curve."""
        if self.folder != self.run.path / "tensorboard":  # the run was swapped to its place, with this row among others
            self._begin()
            return
        self._add(row, None)
        self.writer.flush()

    def _add(self, row: dict[str, Any], when: float | None) -> None:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self.writer.add_scalar(name, value, row["step"], walltime=when)


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
