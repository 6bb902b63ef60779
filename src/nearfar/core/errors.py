"""Every exception and warning of nearfar, and the exit codes of the command.

::

    NearfarError                    exit 1   something failed
    ├── UserError                   exit 2   the request or the data must change
    │   ├── ConfigError                      a knob has a value that it cannot have
    │   ├── UnknownName                      a method, encoder, column … that does not exist
    │   ├── DataError                        the data cannot be read or do not suffice
    │   └── RunError                         the run folder is taken, missing, newer or does not fit
    ├── TrainingError               exit 1   a loss that is not finite, a step that cannot go on
    ├── StorageError                exit 1   the disk is full, a write failed
    └── Stopped                     exit 130 stopped by Ctrl-C (143 by SIGTERM or SIGHUP), after saving

    NearfarWarning                           told, not fatal
    ├── CollapseWarning                      the embedding is losing its dimensions
    └── WorseWarning                         training makes the model worse than it was before
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from nearfar.core.names import SENTENCE, beginning, brief, visible

LONGEST, LONGEST_HINT = 300, 2500  # characters of where something is wrong, and of what to do
REASON = 200  # characters of what a library says
# What another path would not have: the request must change, not the disk.
OF_THE_PATH = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST,
    errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ENOTEMPTY, errno.EROFS, errno.EXDEV, errno.ETXTBSY, errno.EBUSY,
}  # fmt: skip
EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 2, 130, 143


class NearfarError(Exception):
    """What is wrong, where, and what to do about it.

    Parameters
    ----------
    message : str
        One sentence.
    where : str, optional
        File, row or column.
    hint : str, optional
        What to do next.

    Notes
    -----
    What these quote, from wherever it comes, is shown by its beginning where it is long, and without characters that
    a terminal would obey.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = visible(brief(str(message)))
        self.where = visible(beginning(str(where), most=LONGEST)) if where else None
        self.hint = visible(brief(hint, LONGEST_HINT), keep="\n") if hint else None
        super().__init__(self.message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, str | None]:
        """The form that ``--json`` prints."""
        return {"kind": type(self).__name__, "message": self.message, "where": self.where, "hint": self.hint}


class UserError(NearfarError):
    """The request or the data must change."""

    exit_code = EXIT_USAGE


class ConfigError(UserError):
    """A knob has a value that it cannot have."""


class UnknownName(UserError):
    """A name that does not exist; proposes the nearest of those that are `known`, or lists them.

    `also` are other spellings of what is known, which may be proposed and are not listed; `see` is a sentence on where
    to read about them, which is said with the list.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, also: Iterable[str] = (), where: str | None = None,
        see: str = "",
    ) -> None:  # fmt: skip
        known = sorted(dict.fromkeys(map(str, known)))
        near = nearest(name, [*known, *also])
        if near:
            hint = f"Did you mean {' or '.join(repr(n) for n in near)}?"
        else:
            hint = f"There are: {listed(known)}. {see}".strip() if known else "There are none."
        super().__init__(f"there is no {kind} named {name!r}.", where=where, hint=hint)
        self.near = near


class DataError(UserError):
    """The data cannot be read or do not suffice."""


class RunError(UserError):
    """The run folder is taken, missing, from a newer version, or does not fit."""


class TrainingError(NearfarError):
    """Training cannot go on."""


class StorageError(NearfarError):
    """A file could not be written."""


def kind_of(e: OSError) -> type[UserError | StorageError]:
    """What an error of the file system is: `UserError` where the path is at fault, else `StorageError`."""
    return UserError if e.errno in OF_THE_PATH else StorageError


class Stopped(NearfarError):
    """Stopped from outside, after saving."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str, *, exit_code: int = EXIT_INTERRUPTED, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class NearfarWarning(UserWarning):
    """Told, not fatal."""


class CollapseWarning(NearfarWarning):
    """The embedding is losing its dimensions."""


class WorseWarning(NearfarWarning):
    """Training makes the model worse than it was before its first step."""


def library(name: str, extra: str | None, where: str | None = None, *, why: str | None = None) -> ModuleType:
    """A library that is installed by an extra, or by itself; raises a `ConfigError` where it is not there."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        top = name.partition(".")[0]
        package = f"'nearfar[{extra}]'" if extra else top
        raise ConfigError(why or f"this needs the library {top}.", where=where, hint=f"pip install {package}") from e


def reason(e: BaseException) -> str:
    """What an exception of a library says, in a line."""
    said = getattr(e, "strerror", None) or next(iter(str(e).splitlines()), "") or type(e).__name__
    said = visible(said).rstrip(".")
    return said if len(said) <= REASON else f"{said[:REASON]}…"


def listed(names: Sequence[str], most: int = 100) -> str:
    """Names as a list for a sentence, cut after `most` or where they are long; it says how many are left out."""
    shown, room = [], LONGEST_HINT - SENTENCE
    for name in names[:most]:
        shown.append(beginning(visible(name)))
        room -= len(shown[-1]) + 2
        if room < 0:
            break
    left = len(names) - len(shown)
    return ", ".join(shown) if left <= 0 else f"{', '.join(shown)} and {left:,} more"


NEAR = 500  # characters above which a name is near no other: comparing takes their product


def nearest(name: str, known: Iterable[str], count: int = 2) -> list[str]:
    """The known names closest in spelling to `name`, best first (perhaps none)."""
    by_lower, name = {k.lower(): k for k in known}, str(name).lower()
    if len(name) > NEAR:
        return []
    close = difflib.get_close_matches(name, [k for k in by_lower if len(k) <= NEAR], n=count, cutoff=0.55)
    return [by_lower[c] for c in close]


def meant(path: str | os.PathLike[str], names: Iterable[str]) -> str | None:
    """A hint that proposes the nearest of the names beside a path that is not there; None where none is near."""
    near = [os.path.join(os.path.dirname(path), name) for name in nearest(os.path.basename(path), names)]
    return f"Did you mean {' or '.join(near)}?" if near else None


class BadCell(Exception):
    """A cell that cannot be decoded; the message is the reason, in words."""


def cell_or_error(cells: Sequence[Any], i: int) -> Any:
    """A cell, or the `BadCell` that fetching it raised."""
    try:
        return cells[i]
    except BadCell as e:
        return e
