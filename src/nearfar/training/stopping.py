"""When a training saves and when it stops: by time, by steps, by Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nearfar.core.config import seconds
from nearfar.core.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, ConfigError
from nearfar.training.distributed import World

SIGNALS = tuple(getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s))


def saving(every: str) -> tuple[int | None, float | None]:
    """Steps or seconds between two checkpoints: of ``500steps`` or ``60s`` one is None, of ``never`` both."""
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
    """When to save and when to stop: all processes at the same step, by the clock of process 0."""

    def __init__(self, every: str, stop_after: str | None, world: World) -> None:
        self.world = world
        self.steps, self.every = saving(every)
        self.budget = None if stop_after is None else seconds(stop_after, "train.stop_after")
        self.started = self.saved = time.monotonic()

    def asks(self, step: int, code: int) -> tuple[bool, int]:
        """Whether to save after `step` steps, and the exit status to stop with, or 0.

        `code` is that of a signal which this process got, or 0. Signals reach processes at different steps, so all of
        them are asked.
        """
        now, main = time.monotonic(), self.world.is_main
        by_time = main and self.every is not None and now - self.saved >= self.every
        due = step % self.steps == 0 if self.steps else by_time
        over = main and self.budget is not None and now - self.started >= self.budget
        due, ended, over = self.world.any([due, code == EXIT_TERMINATED, over or code == EXIT_INTERRUPTED])
        if due:
            self.saved = time.monotonic()
        return due, EXIT_TERMINATED if ended else EXIT_INTERRUPTED if over else 0


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Remember a first Ctrl-C, SIGTERM or SIGHUP, so that the step can be finished; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    code = 0

    def remember(number: int, _frame: object) -> None:
        nonlocal code
        if code:  # whoever asks twice does not want to wait for the step
            raise KeyboardInterrupt
        code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_TERMINATED

    # A signal that the process was told to ignore, such as by nohup, stays ignored.
    heeded = [s for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, remember) for s in heeded}
    try:
        yield lambda: code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
