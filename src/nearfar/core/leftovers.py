"""Names of what is being written beside its place, and what killed processes left of it.

Whoever writes holds a lock on what it writes, which ends with the process: what nobody holds is left over.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where leftovers cannot be told from what is being written, and stay
    fcntl = None  # type: ignore[assignment]

ENDS = (".nearfar", ".nearfar-old")  # of what is to take a place, and of what is leaving it
SHOWN = 40  # characters of the name of the place


def beside(path: Path, *, leaving: bool = False) -> Path:
    """A new name in the folder of `path`, for what is to take its place or is `leaving` it."""
    return path.parent / f".{path.name[:SHOWN]}.{secrets.token_hex(4)}{ENDS[leaving]}"


def is_left(name: str, of: str | None = None) -> bool:
    """Whether a name is one that `beside` gives, of any place or of one."""
    start = ".+" if of is None else re.escape(of[:SHOWN])
    return re.fullmatch(rf"\.{start}\.[0-9a-f]{{8}}\.nearfar(-old)?", name, re.DOTALL) is not None


def occupied(folder: Path) -> bool:
    """Whether files or links lie in a folder: locks and leftovers count as none, folders as what they hold."""
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        if any(name != ".lock" and not is_left(name) for name in (*names, *links)):
            return True
        folders[:] = [f for f in folders if not is_left(f)]
    return False


def begin(path: Path, make: Callable[[Path], object]) -> tuple[Path, int | None]:
    """A new place beside `path`, which `make` makes, and its lock.

    What another process has taken for a leftover before it was locked is made again.
    """
    while True:
        place = beside(path)
        make(place)
        try:
            held = hold(place)
        except FileNotFoundError:
            continue
        if os.path.lexists(place):
            return place, held
        end(held)


def hold(path: Path) -> int | None:
    """Lock what lies there, until the handle that is given is closed or the process ends."""
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)  # who else has it is about to remove it
    return handle


def end(held: int | None) -> None:
    """Let go of what `hold` gave."""
    if held is not None:
        os.close(held)


def sweep(path: Path) -> None:
    """Remove what was left beside `path`; put back what was leaving it, if nothing has taken its place."""
    with contextlib.suppress(OSError):
        for name in [n for n in os.listdir(path.parent) if is_left(n, path.name)]:
            _end(path.parent / name, path)


def sweep_within(folder: Path) -> None:
    """Remove what was left anywhere in a folder."""
    for where, folders, names in os.walk(folder):
        for name in [n for n in (*folders, *names) if is_left(n)]:
            _end(Path(where) / name)
        folders[:] = [f for f in folders if not is_left(f)]


def _end(left: Path, path: Path | None = None) -> None:
    """Remove a leftover, or put it back, unless its maker is still at it."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path is not None and left.name.endswith(ENDS[1]) and not os.path.lexists(path):
                os.rename(left, path)
            elif left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        finally:
            os.close(handle)
