"""When a training saves and when it stops: by time, by steps, by Ctrl-C and SIGTERM."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nearfar import distributed
from nearfar.config import seconds
from nearfar.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, ConfigError


def saving(every: str) -> tuple[int | None, float | None]:
    """Steps or seconds between two checkpoints: of ``500steps`` or ``60s`` one is None, of ``never`` both.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    where = "train.checkpoint_every"
    if match := re.fullmatch(r"\s*(\d+)\s*steps?\s*", every, re.ASCII):
        if int(match[1]) == 0:
            raise ConfigError("0 steps is out of range; it must be at least 1.", where=where)
        return int(match[1]), None
    if every == "never":
        return None, None
    try:
        return None, seconds(every, where)
    except ConfigError as e:
        raise ConfigError(f"{every!r} is not like 60s, 10m, 500steps or never.", where=where) from e


class Ticker:
    """When to save and when to stop. Process 0's clock decides for all, so that they save the same step."""

    def __init__(self, every: str, stop_after: str | None, world: distributed.World) -> None:
        self.world = world
        self.steps, self.every = saving(every)
        self.budget = None if stop_after is None else seconds(stop_after, "train.stop_after")
        self.started = self.saved = time.monotonic()

    def _agreed(self, wish: bool) -> bool:
        return self.world.agree(wish) if self.world.size > 1 else wish

    def wants_save(self, step: int) -> bool:
        """Whether to save after `step` steps."""
        if self.steps:
            return step % self.steps == 0
        due = self.every is not None and time.monotonic() - self.saved >= self.every
        if due := self._agreed(due):
            self.saved = time.monotonic()
        return due

    def wants_stop(self) -> int:
        """The exit status to stop with, or 0."""
        over = self.budget is not None and time.monotonic() - self.started >= self.budget
        return EXIT_INTERRUPTED if self.budget is not None and self._agreed(over) else 0


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """First Ctrl-C or SIGTERM: remembered, so that the step can be finished. Second Ctrl-C: at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    code = 0

    def remember(number: int, _frame: object) -> None:
        nonlocal code
        if code:
            raise KeyboardInterrupt
        code = EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED

    before = {s: signal.signal(s, remember) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
