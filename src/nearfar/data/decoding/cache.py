"""Decoded data are kept outside the project, keyed by what they were made from.

An entry is a folder of plain ``.npy`` arrays and a manifest that is written last: without it the entry does not
exist. A lock per key keeps two processes from decoding the same thing; a kill leaves a folder that the next run
begins again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np

from nearfar.core import environment, files
from nearfar.core.errors import ConfigError, RunError, StorageError, reason
from nearfar.core.names import printable

FORMAT = 2
TICK = 2.0  # seconds: the coarsest clock of a file system in use
LIMIT = 50 * 2**30  # bytes; $NEARFAR_CACHE_LIMIT overrides
SHOWN = 200  # characters of a path that messages show
HINT = "Make room, set NEARFAR_HOME to another disk, lower --size, or decode while training with --stream."


def _by_row(bad: dict[str, str]) -> str | None:
    return None if all(k.isascii() and k.isdigit() for k in bad) else "of rows by their numbers"


class Manifest(TypedDict):
    """What is known of an entry."""

    arrays: list[str]
    bad: NotRequired[Annotated[dict[str, str], _by_row]]
    just_written: dict[str, str]


def root() -> Path:
    """Folder of all entries."""
    return files.cache_home() / "decoded"


@dataclass(frozen=True)
class Entry:
    """Where decoded data are to lie."""

    name: str  # hash of what they are made from
    # Content of the files among that which changed so lately that their times may not tell another change.
    just_written: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> Entry:
        """The entry of what is known of the rows without their values."""
        return replace(self, name=f"{self.name}-rows")


def entry(sources: Sequence[Path], settings: Mapping[str, Any]) -> Entry:
    """The entry for data that these files and settings make: a hash of all that decides how they are decoded."""
    import PIL

    digest = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, settings], sort_keys=True, default=str).encode())
    now, just_written = time.time(), {}
    for path in sources:
        digest.update(os.fsencode(path.absolute()) + f"\x1f{_state(path)}\x1e".encode())
        with suppress(OSError, ValueError):
            stat = path.stat()
            if S_ISREG(stat.st_mode) and max(stat.st_mtime, stat.st_ctime) > now - TICK:
                just_written[os.fspath(path.absolute())] = _content(path)
    return Entry(digest.hexdigest()[:32], just_written)


def _state(path: Path) -> str:
    """Tells a file from one that was overwritten, replaced by a link, given back its old time, or was not there."""
    try:
        stat = path.stat()
    except (OSError, ValueError) as e:
        return f"none ({type(e).__name__})"
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _content(path: str | Path) -> str:
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return ""


def load(entry: Entry, *, trusted: bool = False) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays (memory-mapped) and manifest of a whole entry, or None; `trusted`: it was written just now."""
    folder = root() / entry.name
    manifest = folder / "manifest.json"
    if not os.path.exists(manifest):
        return None
    try:
        values = files.read_json(manifest, Manifest)
        if not trusted and any(_content(path) != content for path, content in values["just_written"].items()):
            manifest.unlink()
            return None
        arrays = {f: np.load(folder / f"{f}.npy", mmap_mode="r", allow_pickle=False) for f in values["arrays"]}
    except (RunError, OSError, ValueError):  # damaged
        return None
    with suppress(OSError):  # a cache that may only be read
        os.utime(manifest)  # least recently used goes first
    return arrays, values


@contextmanager
def writing(entry: Entry, nbytes: int) -> Iterator[Path]:
    """A locked, empty folder for the entry; other processes wait.

    Raises a `ConfigError` where there can be no such folder, a `StorageError` where it has no room.
    """
    from filelock import FileLock

    try:
        root().mkdir(parents=True, exist_ok=True)
        why = None if os.access(root(), os.W_OK) else "permission denied"
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise files.storage_error(root(), e) from e
        why = reason(e)
    if why is not None:
        raise ConfigError(f"the folder for decoded data cannot be written ({why}).",
                          where=printable(str(root()))[:SHOWN], hint="NEARFAR_HOME names another.")  # fmt: skip
    with FileLock(root() / f"{entry.name}.lock"):
        _make_room(nbytes)
        folder = root() / entry.name
        if not (folder / "manifest.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder


def finish(entry: Entry, arrays: Iterable[str], values: Mapping[str, Any]) -> None:
    """Declare the entry whole."""
    about = {"arrays": list(arrays), "just_written": dict(entry.just_written), "written": time.time()}
    files.write_json(root() / entry.name / "manifest.json", {**values, **about})


def free() -> int:
    """Free bytes of the disk that the entries lie on."""
    return files.free_bytes(root())


def limit() -> int:
    """Bytes that all entries may take together."""
    return int(environment.number("NEARFAR_CACHE_LIMIT", LIMIT, 0))


def lacks(nbytes: int) -> str | None:
    """Why an entry of so many bytes has no room, or None."""
    need = f"the decoded data need {nbytes / 2**20:,.0f} MiB and"
    if nbytes > free():
        return f"{need} {free() / 2**20:,.0f} MiB are free"
    if nbytes > limit():
        return f"{need} the cache may hold {limit() / 2**20:,.0f} MiB (NEARFAR_CACHE_LIMIT)"
    return None


def allocate(file: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A memory-mapped array of zeros; raises a `StorageError` where the disk has no room for it."""
    try:
        array = np.lib.format.open_memmap(file, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):
            # Written to a hole in a file, a full disk would end the process without a word.
            with open(file, "r+b") as f:
                os.posix_fallocate(f.fileno(), 0, file.stat().st_size)
        return array
    except OSError as e:
        raise files.storage_error(file, e) from e


def _make_room(nbytes: int) -> None:
    """Remove the entries unused for longest until `nbytes` fit under the limit."""
    if lacking := lacks(nbytes):
        raise StorageError(f"{lacking}.", where=str(root()), hint=HINT)
    entries = sorted((m.stat().st_mtime, m.parent) for m in root().glob("*/manifest.json"))
    sizes = {folder: sum(f.stat().st_size for f in folder.iterdir()) for _, folder in entries}
    total = sum(sizes.values())
    for _, folder in entries:
        if total + nbytes <= limit():
            break
        total -= sizes[folder]
        shutil.rmtree(folder, ignore_errors=True)
