"""Every file operation under a folder is counted; one of them fails, or ends the process.

`watch` is for a process of its own, such as a forked one: what it changes in Python is not taken back. It sees what
Python does: opening for writing, writing, syncing, renaming, removing, making folders, reserving room. Under the
preloaded library that benchmarks/failing_disk.c becomes, the same is counted in the C library instead, so that
operations of libraries written in C and Rust are seen as well.

What may happen to an operation::

    enospc, eio   it fails, once
    full          it fails for lack of room, and so does all that needs room after it
    kill          the process ends before it
    half          a write writes the half of its bytes, as much as there was room for, and then it is as in `full`
    cut           a write writes the half of its bytes and the process ends
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OF_ANY = ("enospc", "eio", "full", "kill")
OF_WRITES = ("half", "cut")
NEEDS_ROOM = {"open", "write", "mkdir", "fallocate", "truncate", "link", "symlink"}
EVENTS = {  # of sys.addaudithook: the kind of operation, and where the path and the folder it counts from are
    "os.remove": ("unlink", 0, 1), "os.rmdir": ("rmdir", 0, 1), "os.mkdir": ("mkdir", 0, 2),
    "os.rename": ("rename", 1, 3), "os.link": ("link", 1, 3), "os.symlink": ("symlink", 1, 2),
    "os.truncate": ("truncate", 0, None), "os.chmod": ("chmod", 0, 2), "os.utime": ("utime", 0, 3),
}  # fmt: skip
LONGEST = 300  # seconds that a command may take, then it is ended
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def watch(root: Path, log: Path, at: int | None = None, how: str = "") -> None:
    """Count the operations under `root`, a line of `log` each; the one of number `at` meets `how`."""
    seen = _Seen(os.path.realpath(root), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), at, how)
    library = ctypes.CDLL(None)
    if hasattr(library, "failing_disk_arm"):
        library.failing_disk_arm(os.fsencode(seen.root), seen.log, -1 if at is None else at, how.encode())
    else:
        _patch(seen)
        sys.addaudithook(seen.event)


class _Seen:
    """What was seen so far."""

    def __init__(self, root: str, log: int, at: int | None, how: str) -> None:
        self.root, self.log, self.at, self.how, self.count = root, log, at, how, 0
        self.busy = False

    def event(self, name: str, args: tuple[Any, ...]) -> None:
        """An event that Python tells before it does it."""
        if self.busy:
            return
        if name == "open":
            path, _, flags = args
            if isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int) and flags & WRITING:
                self.meet("open", self.place(path))
        elif name in EVENTS:
            kind, path, folder = EVENTS[name]
            folder = args[folder] if folder is not None and len(args) > folder else -1
            self.meet(kind, self.place(args[path], folder if isinstance(folder, int) else -1))

    def place(self, path: Any, folder: int = -1) -> str:
        """Where a path or an open file lies."""
        with self.quiet():
            if isinstance(path, int):
                return os.readlink(f"/proc/self/fd/{path}").removesuffix(" (deleted)")
            path = os.fsdecode(path)
            if folder >= 0 and not os.path.isabs(path):
                path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
            folder, name = os.path.split(os.path.abspath(path))
            return os.path.join(os.path.realpath(folder), name)

    def meet(self, kind: str, path: str, half: Callable[[], int] | None = None) -> int | None:
        """Count an operation; raise or end where it is the one. Of a write the half may be done, and is then returned."""
        if path != self.root and not path.startswith(self.root + os.sep):
            return None
        os.write(self.log, f"{kind}\t{os.path.relpath(path, self.root)}\n".encode(errors="surrogateescape"))
        number, self.count = self.count, self.count + 1
        if number == self.at:
            if self.how in OF_WRITES and half is not None:
                with self.quiet():
                    done = half()
                if self.how == "half":
                    return done
            if self.how in ("kill", "cut"):
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.EIO if self.how == "eio" else errno.ENOSPC, _words(self.how), path)
        if self.how in ("full", "half") and self.at is not None and number > self.at and kind in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, _words("full"), path)
        return None

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """What happens here is not counted."""
        before, self.busy = self.busy, True
        try:
            yield
        finally:
            self.busy = before


def _words(how: str) -> str:
    return os.strerror(errno.EIO if how == "eio" else errno.ENOSPC)


def _patch(seen: _Seen) -> None:
    """Let be seen what no event tells of: writing, syncing, reserving room, and exchanging two folders."""
    from nearfar.core import replacing

    builtins.open = io.open = _opening(seen)
    os.write = _writing(seen, os.write)
    for name, kind, at in (("fsync", "fsync", 0), ("fdatasync", "fsync", 0), ("posix_fallocate", "fallocate", 0),
                           ("ftruncate", "truncate", 0), ("fchmod", "chmod", 0), ("fchown", "chown", 0),
                           ("sendfile", "write", 0), ("copy_file_range", "write", 1)):  # fmt: skip
        setattr(os, name, _told(seen, getattr(os, name), kind, at))
    replacing._at_once = _told(seen, replacing._at_once, "rename", 1)


def _told(seen: _Seen, does: Callable[..., Any], kind: str, at: int) -> Callable[..., Any]:
    def instead(*args: Any, **options: Any) -> Any:
        if not seen.busy:
            seen.meet(kind, seen.place(args[at]))
        return does(*args, **options)

    return instead


def _writing(seen: _Seen, does: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    def instead(handle: int, content: Any) -> int:
        done = None
        if not seen.busy and handle != seen.log:
            half = memoryview(content).cast("B")[: len(content) // 2]
            done = seen.meet("write", seen.place(handle), lambda: does(handle, half))
        return does(handle, content) if done is None else done

    return instead


def _opening(seen: _Seen) -> Callable[..., Any]:
    """`open`, whose files are Python's own but for the lowest of their layers."""

    class File(io.FileIO):
        def write(self, content: Any) -> int:
            return write(self.fileno(), content)

    real, write = io.open, _writing(seen, os.write)

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
        closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if not set(mode) & set("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if "b" in mode and buffering == 0:
            return raw
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)

    return opened


def in_a_child(does: Callable[[], int], said: Path) -> int:
    """Run a function in a forked child whose output goes to a file; its exit status, or minus its signal."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 99
        signal.alarm(LONGEST)
        try:
            handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            code = does()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
