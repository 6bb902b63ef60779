"""Decoded pictures are kept outside the project, keyed by what they were made from.

An entry is a folder of plain ``.npy`` arrays and a manifest that is written last: without it the entry does not
exist. A lock per key keeps two processes from decoding the same thing; a kill leaves a folder that the next run
begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nearfar import files

FORMAT = 1
LIMIT = 50 * 2**30  # bytes; $NEARFAR_CACHE_LIMIT overrides


def root() -> Path:
    """Folder of all entries."""
    return files.cache_home() / "decoded"


def key(sources: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Hash of the files' paths, sizes and times, and of everything that decides how they are decoded."""
    import PIL

    digest = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, settings], sort_keys=True, default=str).encode())
    for path in sources:
        stat = path.stat()
        digest.update(f"{path.absolute()}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\x1e".encode())
    return digest.hexdigest()[:32]


def load(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays (memory-mapped) and manifest of a whole entry, or None."""
    folder = root() / name
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return None
    try:
        values = json.loads(manifest.read_text())
        arrays = {f: np.load(folder / f"{f}.npy", mmap_mode="r", allow_pickle=False) for f in values["arrays"]}
    except (OSError, ValueError, KeyError):
        return None
    os.utime(manifest)  # least recently used goes first
    return arrays, values


@contextmanager
def writing(name: str, nbytes: int):  # noqa: ANN201 - an iterator of a path
    """A locked, empty folder for the entry; other processes wait."""
    from filelock import FileLock

    root().mkdir(parents=True, exist_ok=True)
    with FileLock(root() / f"{name}.lock"):
        make_room(nbytes)
        folder = root() / name
        if not (folder / "manifest.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder


def finish(folder: Path, arrays: Iterable[str], values: Mapping[str, Any]) -> None:
    """Declare the entry whole."""
    files.write_json(folder / "manifest.json", {**values, "arrays": list(arrays), "written": time.time()})


def make_room(nbytes: int) -> None:
    """Remove the entries unused for longest until `nbytes` fit under the limit.

    Raises
    ------
    StorageError
        The disk itself has no room for them.
    """
    from nearfar.errors import StorageError

    free = files.free_bytes(root())
    if nbytes > free:
        raise StorageError(
            f"the decoded data need {nbytes / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB are free.",
            where=str(root()), hint="Make room, set NEARFAR_HOME to another disk, or lower --size.",
        )  # fmt: skip
    limit = int(float(os.environ.get("NEARFAR_CACHE_LIMIT", LIMIT)))
    entries = sorted((m.stat().st_mtime, m.parent) for m in root().glob("*/manifest.json"))
    sizes = {folder: sum(f.stat().st_size for f in folder.iterdir()) for _, folder in entries}
    total = sum(sizes.values())
    for _, folder in entries:
        if total + nbytes <= limit:
            break
        total -= sizes[folder]
        shutil.rmtree(folder, ignore_errors=True)
