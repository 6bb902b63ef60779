"""Processes that are killed at a drawn instant: between two operations, within a write, or by the clock.

Each is forked from one that has imported everything, so a sitting takes as long as its training.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from tests.helpers import forked

PLACES = ("start", "step", "metrics", "checkpoint", "end")
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"})
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATIENCE = 60  # seconds that a sitting may last, and that processes which it started may outlive it


@dataclass(frozen=True)
class Instant:
    """When to kill.

    Parameters
    ----------
    place : str
        One of `PLACES`, or ``time``.
    at : float
        The how many-th operation of that place; seconds for ``time``.
    rank : int or None
        Which of several processes is killed; None: the one that started them, or the only one.
    signal, times : int
        What is sent instead of SIGKILL, and how often.
    to : {"itself", "parent", "group"}
        Whom it is sent to: as Ctrl-C in a terminal reaches all processes of a group.
    """

    place: str
    at: float
    rank: int | None = None
    signal: int = signal.SIGKILL
    to: str = "itself"
    times: int = 1


@dataclass(frozen=True)
class Ended:
    """How a sitting ended: whether by a kill, what it raised, and the operations of each place."""

    killed: bool
    raised: str
    counts: Counter[str]
    seconds: float


class Watch:
    """Counts what a process does to files below `folder`, and between, and kills it at the instant."""

    def __init__(self, folder: Path, instant: Instant | None) -> None:
        self.folder, self.instant, self.stage = str(folder), instant, "start"
        self.counts: Counter[str] = Counter()

    def passes(self, spoil: Callable[[], Any] | None = None) -> None:
        """One more operation is about to begin, or has ended; `spoil` does half of it before a kill."""
        self.counts[self.stage] += 1
        wanted = self.instant
        if wanted is None or (self.stage, self.counts[self.stage]) != (wanted.place, wanted.at):
            return
        if wanted.rank is None or os.environ.get("RANK") == str(wanted.rank):
            self.instant = None
            if spoil is not None and wanted.signal == signal.SIGKILL:
                with suppress(OSError):
                    spoil()
            to = {"itself": os.getpid(), "parent": os.getppid(), "group": 0}[wanted.to]
            for _ in range(wanted.times):
                os.kill(to, wanted.signal)

    def around(self, owner: Any, name: str, stage: str | None = None, after: str | None = None) -> None:
        """Count before and after a function; it is a stage of its own, or another begins with it."""
        real = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            before, self.stage = self.stage, stage or after or self.stage
            self.passes()
            try:
                return real(*args, **options)
            finally:
                self.passes()
                self.stage = before if after is None else after

        setattr(owner, name, watched)

    def install(self) -> None:
        """Watch this process from here on."""
        from torch.optim import optimizer

        from nearfar.core import files
        from nearfar.models.run import Run
        from nearfar.training import train
        from nearfar.training.learner import Learner
        from nearfar.training.trainer import Trainer

        self.around(train, "_ready", after="start")
        self.around(Trainer, "step", "step")
        self.around(Learner, "after_step")
        self.around(Run, "append_metrics", "metrics")
        self.around(Run, "save_checkpoint", "checkpoint")
        self.around(Trainer, "finished", after="end")
        optimizer.register_optimizer_step_pre_hook(lambda *_: self.passes())
        optimizer.register_optimizer_step_post_hook(lambda *_: self.passes())
        append, sync = files.append_line, os.fsync

        def append_line(path: Any, line: str) -> None:
            self.passes(lambda: Path(path).write_text(Path(path).read_text() + line[: len(line) // 2]))
            append(path, line)

        def fsync(handle: int) -> None:
            size = os.fstat(handle).st_size if S_ISREG(os.fstat(handle).st_mode) else 0
            self.passes(lambda: size and os.ftruncate(handle, size // 2))
            sync(handle)
            self.passes()

        files.append_line, os.fsync = append_line, fsync
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            counts = str(path).startswith(self.folder) and flags & WRITES
        else:  # the last argument is a folder's handle, where the path is within that
            counts = event in CHANGES and (str(args[0]).startswith(self.folder) or args[-1] not in (-1, None))
        if counts:
            self.passes()


def sit(
    function: Callable[..., Any], args: tuple[Any, ...], folder: Path, instant: Instant | None = None,
    home: Path | None = None,
) -> Ended:  # fmt: skip
    """Call a function of a module in a process of its own, which is killed at the instant.

    Parameters
    ----------
    function, args
    folder : Path
        Operations on files below it are counted.
    instant : Instant, optional
    home : Path, optional
        ``NEARFAR_HOME`` of the process.

    Raises
    ------
    AssertionError
        It hangs, or processes that it started go on after it.
    """
    about = folder.parent / f"{folder.name}.ended.json"
    about.unlink(missing_ok=True)
    process = forked.context().Process(target=_begin, args=(function, args, folder, about, instant, home))
    began = time.perf_counter()
    process.start()
    by_time = instant is not None and instant.place == "time"
    process.join(instant.at if by_time else PATIENCE)
    hangs = process.exitcode is None and not by_time
    process.kill()
    process.join()
    assert not hangs, f"{function.__name__}{args} hangs after {instant}"
    _wait_for_others(process.pid)
    told = json.loads(about.read_text()) if about.exists() else {"raised": "", "counts": {}}
    killed = process.exitcode == -signal.SIGKILL or "was killed" in told["raised"]
    assert killed or about.exists(), f"{function.__name__}{args} ended with status {process.exitcode}"
    return Ended(killed, told["raised"], Counter(told["counts"]), time.perf_counter() - began)


def _begin(
    function: Callable[..., Any], args: tuple[Any, ...], folder: Path, about: Path, instant: Instant | None,
    home: Path | None,
) -> None:  # fmt: skip
    import torch

    os.setsid()  # so that processes which it starts are known
    os.environ["NEARFAR_HOME"] = str(home or folder.parent / "home")
    warnings.simplefilter("ignore")
    fork, leave = multiprocessing.get_context("fork"), os._exit
    torch.multiprocessing.get_context = lambda _: fork  # spawned ones would import torch
    watch, raised = Watch(folder, instant), ""

    def tell() -> None:
        about.write_text(json.dumps({"raised": raised, "counts": watch.counts}))

    def exits(status: int) -> None:
        if os.environ.get("RANK") == "0" and instant is None:
            tell()  # its operations are those of the training
        leave(status)

    os._exit = exits
    watch.install()
    try:
        function(*args)
    except (Exception, KeyboardInterrupt) as e:
        raised = f"{type(e).__name__}: {e}"
    watch.instant = None
    if raised or not about.exists():
        tell()


def _wait_for_others(group: int) -> None:
    """Raise where processes of an ended one's session go on."""
    deadline = time.monotonic() + PATIENCE
    while left := _alive(group):
        assert time.monotonic() < deadline, f"processes {left} go on although the one that started them was killed"
        time.sleep(0.01)


def _alive(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                found.append(int(stat.parent.name))
    return found
