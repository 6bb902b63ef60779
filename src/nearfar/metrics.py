"""Further places for the lines of metrics, besides ``metrics.jsonl``."""

from __future__ import annotations

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

    def __init__(self, run: Run, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = step + 1 if step else None  # later points of an earlier sitting come again
        self.writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=purge)

    def write(self, row: dict[str, Any]) -> None:
        """One point on each curve."""
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self.writer.add_scalar(name, value, row["step"])
        self.writer.flush()


SINKS = {"tensorboard": TensorBoard}


def check(names: Sequence[str], run: Run | None) -> None:
    """See whether there are such sinks, before anything is begun.

    Raises
    ------
    UnknownName, ConfigError
        There is none of that name, its library is missing, or there is no run folder to write to.
    """
    for name in names:
        if name not in SINKS:
            raise UnknownName("place for metrics", name, SINKS)
        SINKS[name].check()
    if names and run is None:
        raise ConfigError("metrics need a run folder.", where="train.log", hint="Say --out RUN.")


def sinks(names: Sequence[str], run: Run | None, step: int) -> list[Sink]:
    """The sinks of those names, open for the lines after `step`."""
    return [SINKS[name](run, step) for name in names]
