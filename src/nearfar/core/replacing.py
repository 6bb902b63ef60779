"""Folders that are written beside their place and take it in one swap.

Whatever goes wrong before the swap, or ends the process, leaves what was there as it was; after it the new folder is
there as a whole. Only files that nearfar wrote are ever removed: others are in the new folder too before the swap.
What a killed process left beside is removed by the next one that writes there: its maker held a lock on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nearfar.core import files
from nearfar.core.errors import RunError
from nearfar.core.files import storage_error
from nearfar.core.leftovers import begin, beside, end, is_left, sweep

AT_FDCWD, EXCHANGE, SWAP = -100, 2, 2  # of linux/fs.h and of macOS's stdio.h
NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # a file system that cannot exchange

_made: list[Replacement] = []  # by this process, but for those that were discarded


class Replacement:
    """A new folder, to be filled at its `place` and then swapped to `path`, where nothing is or a folder.

    A link stands for what it points to. `written` gives the paths within the old folder of what nearfar wrote: all
    else is kept.
    """

    def __init__(self, path: str | Path, written: Callable[[Path], Iterable[Path]]) -> None:
        self.path, self._real, self._written = Path(path), Path(os.path.realpath(path)), written
        check(path)
        try:
            self._real.parent.mkdir(parents=True, exist_ok=True)
            sweep(self._real)
            self.place, self._hold = begin(self._real, Path.mkdir)
        except OSError as e:
            raise storage_error(path, e) from e
        self.swapped = False
        _made.append(self)
        try:
            if self._real.is_dir():
                shutil.copymode(self._real, self.place)
        except OSError as e:
            self.discard()
            raise storage_error(path, e) from e

    def of(self, path: Path) -> Path:
        """Where a path within `place` is to be."""
        return self.path / path.relative_to(self.place)

    def swap(self) -> None:
        """Put it to its place; what was not written by nearfar comes along. Where that fails, what was there stays."""
        try:
            for file in sorted(self.place.rglob("*")):
                if file.is_file() and not file.is_symlink():
                    files.sync(file)
            if not self._real.is_dir():
                os.replace(self.place, self._real)
            else:
                _carry(self._real, self.place, set(self._written(self._real)))
                _exchange(self.place, self._real)
                with contextlib.suppress(OSError):  # of what came in between; the old folder is swept another time
                    _carry(self.place, self._real, set(self._written(self.place)))
                    shutil.rmtree(self.place, ignore_errors=True)
            with contextlib.suppress(OSError):
                files.sync(self._real.parent)
        except OSError as e:
            raise storage_error(self.path, e) from e
        self.swapped = True
        end(self._hold)

    def discard(self) -> None:
        """Leave what was there as it is. Nothing happens after a swap."""
        if not self.swapped and self in _made:
            shutil.rmtree(self.place, ignore_errors=True)
            _made.remove(self)
            end(self._hold)


@contextlib.contextmanager
def replaced(path: str | Path, written: Callable[[Path], Iterable[Path]]) -> Iterator[Path]:
    """A folder to write into, which is swapped to `path` when all went well; see `Replacement`."""
    new = Replacement(path, written)
    try:
        yield new.place
        new.swap()
    except OSError as e:
        raise storage_error(path, e) from e
    finally:
        new.discard()


def settle(path: Path) -> None:
    """Swap what `path` lies in, if that is being written beside its place."""
    for new in _made:
        if not new.swapped and path.is_relative_to(new.place):
            new.swap()


def now(path: Path) -> Path:
    """Where what was written as `path` lies now."""
    return next((new.of(path) for new in _made if new.swapped and path.is_relative_to(new.place)), path)


def final(path: Path) -> Path:
    """Where `path` will lie once everything is in its place."""
    return next((new.of(path) for new in _made if path.is_relative_to(new.place)), path)


def check(path: str | Path) -> None:
    """Raise a `RunError` where a folder is there that cannot be replaced as a whole."""
    real = Path(os.path.realpath(path))
    if not real.is_dir():
        return
    if os.path.ismount(real):
        raise RunError("is a mount point, which cannot be replaced.", where=str(path),
                       hint="Choose a folder in it.")  # fmt: skip
    with contextlib.suppress(OSError):
        if Path.cwd().resolve().is_relative_to(real):
            raise RunError("is the folder that you are in, which cannot be replaced.", where=str(path),
                           hint="Go to another folder, and name it from there.")  # fmt: skip


def _carry(old: Path, new: Path, written: set[Path]) -> None:
    """Have in `new` what is in `old` and was not written by nearfar: the same files under a second name."""
    for where, folders, names in os.walk(old):
        at = new / Path(where).relative_to(old)
        links = [f for f in folders if (Path(where) / f).is_symlink()]
        own = [n for n in (*names, *links) if Path(where) / n not in written and not is_left(n)]
        folders[:] = [f for f in folders if f not in links and not is_left(f)]
        if own or not (names or folders or links):
            at.mkdir(parents=True, exist_ok=True)
        for name in own:
            source, target = Path(where) / name, at / name
            if not os.path.lexists(target):
                try:
                    os.link(source, target, follow_symlinks=False)
                except (OSError, NotImplementedError) as e:
                    if getattr(e, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                        raise
                    # a file system without a second name of a file
                    shutil.copy2(source, target, follow_symlinks=False)
            elif not os.path.samestat(os.lstat(source), os.lstat(target)):
                raise RunError("is a file that nearfar did not write, and would be replaced.", where=str(source),
                               hint="Move it, or choose another --out.")  # fmt: skip


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change names, at once where the file system can.

    Where it cannot, `old` has another name for an instant, and `leftovers.sweep` knows it by that.
    """
    if _at_once(new, old):
        return
    aside = beside(old, leaving=True)
    os.rename(old, aside)
    try:
        os.rename(new, old)
    except OSError:
        os.rename(aside, old)
        raise
    os.rename(aside, new)


def _at_once(a: Path, b: Path) -> bool:
    """Exchange two names in one operation; whether that is possible here."""
    try:
        here = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = here.renamex_np(os.fsencode(a), os.fsencode(b), SWAP)
        else:
            failed = here.renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), EXCHANGE)
    except (AttributeError, OSError, TypeError):  # no such function
        return False
    if failed and (code := ctypes.get_errno()) not in NOT_HERE:
        raise OSError(code, os.strerror(code), str(b))
    return not failed
