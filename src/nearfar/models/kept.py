"""Vectors of models that stay as they are lie outside the project, so that no model encodes the same row twice.

A model has a folder of the name of its identity. In it lie files of a few thousand vectors each, with the hashes of
what was encoded. A file is written beside its place, renamed, and never changed after that: so any number of processes
read and write at once, and at worst two of them encode the same row. A file carries a checksum, and one that is damaged
is removed. Where nothing can be written nothing is kept, which is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.core import environment, files
from nearfar.core.errors import NearfarError, RunError
from nearfar.data.decoding.workers import content_hashes
from nearfar.models import columns

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Column
    from nearfar.models.embedder import Embedder

FORMAT = 1
VARIABLE = "NEARFAR_VECTORS"
LIMIT = 4 * 2**30  # bytes; the variable overrides
SHARE = 0.1  # of the free space of the disk, at most
LEAST = 32  # rows; of fewer it is not worth a file
AT_ONCE = 10_000  # rows that are encoded before they are kept
SMALL, MANY = 8 * 2**20, 16  # bytes of a small file, and how many of these are made one
CHEAP = ("text", "vector")  # modalities whose own encoders are quicker than reading what is kept


def root() -> Path:
    """Folder of all models."""
    return files.cache_home() / "vectors"


def limit() -> int:
    """Bytes that all vectors may take together; 0 keeps none."""
    return int(environment.number(VARIABLE, LIMIT, 0))


def shelf(model: Embedder, name: str, layer: str, rows: int) -> Shelf | None:
    """Where the vectors of a column of a model lie, or None where `rows` of them are not looked up.

    They are kept of models with an identity whose encoder costs more than reading: any of pictures, and that of another
    library, such as ``st:NAME``. Tables of words and small networks on numbers are quicker than what is kept.
    """
    if not model.cached or rows < LEAST or limit() == 0:
        return None
    planned = columns.plan(model.config.model, model.columns)[name]
    if (planned.modality in CHEAP and ":" not in planned.encoder) or model.identity is None:
        return None
    versions = [FORMAT, torch.__version__, _version(planned.encoder.partition(":")[0]), torch.device(model.device).type]
    place = _hash([planned.leader or name, layer], 8)
    return Shelf(root() / _hash([model.identity, *versions], 16), place)


def _version(package: str) -> str:
    """The version of the library of an encoder, which may compute otherwise in its next one."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
        return importlib.metadata.version({"st": "transformers", "open_clip": "open_clip_torch"}.get(package, package))
    return ""


def _hash(value: Any, size: int) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=size).hexdigest()


def content(column: Column, rows: np.ndarray) -> np.ndarray:
    """Hashes of what is encoded, uint64 (N,): equal numbers for equal cells (of equal size, for pictures).

    They have 64 bits, those of `Column.hashes` where there are any. Among a million rows two different ones have the
    same hash, and one the vector of the other, with a probability of 3e-8.
    """
    if column.hashes is None:
        parts = np.array_split(rows, max(1, len(rows) // AT_ONCE))
        hashes = np.concatenate([content_hashes(np.asarray(column.values[part])) for part in parts])
    else:
        hashes = np.asarray(column.hashes[rows], np.uint64)
    if column.geometry is None:
        return hashes
    shape = np.asarray(column.geometry[rows], np.int64).astype(np.uint64)
    return content_hashes(np.column_stack([hashes, shape]))


@dataclass(frozen=True)
class Shelf:
    """The vectors of one column and layer of a model.

    Parameters
    ----------
    folder : Path
        Of the model.
    place : str
        With which the names of its files begin.
    """

    folder: Path
    place: str

    def through(self, keys: np.ndarray, encode: Callable[[np.ndarray], torch.Tensor], console: Console) -> torch.Tensor:
        """The vectors of rows with these keys (N,): those that are kept, and what `encode` gives of places among them.

        Rows of equal keys have the same vector, float32 (N, D).
        """
        wanted, first, which = np.unique(keys, return_index=True, return_inverse=True)
        there, out = np.zeros(len(wanted), bool), None
        for at, vectors in self._found(wanted, there):
            out = _filled(out, which, at, vectors, len(wanted))
        if there.any():
            with contextlib.suppress(OSError):  # what may only be read
                os.utime(self.folder)  # least recently used goes first
        why, missing = "", np.sort(first[~there])  # in the order of the rows, which may be read one after the other
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            made = encode(part)
            out = _filled(out, which, which[part], made, len(wanted))
            why = why or self._keep(keys[part], made)
        if why:
            console.say(f"Vectors are not kept: {why}.")
        return out

    def _found(self, wanted: np.ndarray, there: np.ndarray) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Places among the sorted keys `wanted` whose vectors are kept, and these; marks them in `there`."""
        for file in self._files():
            if there.all():
                return
            if (read := _read(file, wanted[~there])) is None:
                continue
            keys, vectors = read
            at = np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)
            new = np.flatnonzero((wanted[at] == keys) & ~there[at])
            there[at[new]] = True
            yield at[new], vectors[torch.from_numpy(new)]

    def _keep(self, keys: np.ndarray, vectors: torch.Tensor) -> str:
        """Write vectors; gives why they cannot be kept, or nothing."""
        if len(keys) < LEAST:
            return ""
        try:
            if lacking := _make_room(vectors.nbytes, self.folder):
                return lacking
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(keys, vectors)
            small = [f for f in self._files() if f.stat().st_size < SMALL]
            if len(small) > MANY:
                self._unite(small)
        except (OSError, NearfarError) as e:
            return f"{root()} cannot be written ({getattr(e, 'strerror', None) or getattr(e, 'message', e)})"
        return ""

    def _write(self, keys: np.ndarray, vectors: torch.Tensor) -> Path:
        # Of its rows: who encodes the same ones again writes the same file.
        number = hashlib.blake2b(keys.tobytes(), digest_size=8).hexdigest()
        tensors = {"keys": torch.from_numpy(keys.view(np.int64)), "vectors": vectors}
        file = self.folder / f"{self.place}-{number}.safetensors"
        files.save_tensors(file, tensors, {"format": FORMAT})
        return file

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.place}-*.safetensors"))

    def _unite(self, small: Sequence[Path]) -> None:
        """Write one file instead of many small ones; another process that misses one of these encodes again."""
        parts = [p for f in small if (p := _read(f)) is not None]
        keys, vectors = (np.concatenate(several) for several in zip(*parts, strict=True))
        keys, first = np.unique(keys, return_index=True)
        whole = self._write(keys, torch.from_numpy(vectors[first]))
        for file in small:
            if file != whole:
                file.unlink(missing_ok=True)


def _filled(
    out: torch.Tensor | None, which: np.ndarray, at: np.ndarray, vectors: torch.Tensor, size: int
) -> torch.Tensor:
    """`out` with the vectors of those rows whose place `which` is one of `at`, of which each is there once."""
    out = torch.empty(len(which), vectors.shape[1]) if out is None else out
    from_ = np.full(size, -1)
    from_[at] = np.arange(len(at))
    rows = np.flatnonzero(from_[which] >= 0)
    out[torch.from_numpy(rows)] = vectors[torch.from_numpy(from_[which[rows]])]
    return out


def _read(file: Path, wanted: np.ndarray | None = None) -> tuple[np.ndarray, torch.Tensor] | None:
    """Keys and vectors of a file; None where it holds none of the keys `wanted`, or is gone, or damaged and removed."""
    try:
        _check(files.tensor_header(file))
        keys = files.one_tensor(file, "keys").numpy().view(np.uint64)
        if wanted is not None and not np.isin(keys, wanted).any():
            return None
        tensors, _ = files.load_tensors(file, _check)
    except RunError:
        with contextlib.suppress(OSError):
            file.unlink()
        return None
    return tensors["keys"].numpy().view(np.uint64), tensors["vectors"]


def _check(header: dict[str, torch.Tensor]) -> None:
    """Raise `RunError` for anything that `Shelf` does not write."""
    keys, vectors = header.get("keys"), header.get("vectors")
    fits = keys is not None and vectors is not None and len(header) == 2
    if not fits or keys.dtype != torch.int64 or vectors.dtype != torch.float32 or vectors.shape[:1] != keys.shape:
        raise RunError("holds no vectors.")


def _make_room(nbytes: int, own: Path) -> str:
    """Remove the models unused for longest until `nbytes` fit; gives why they do not, or nothing."""
    sizes = {folder: _size(folder) for folder in _models()}
    total = sum(sizes.values())
    most = int(min(limit(), SHARE * (files.free_bytes(root()) + total)))
    for folder in sorted(sizes, key=used):
        if total + nbytes <= most:
            break
        if folder != own:
            total -= sizes[folder]
            shutil.rmtree(folder, ignore_errors=True)
    return "" if total + nbytes <= most else f"they may take {most / 2**20:,.0f} MiB ({VARIABLE})"


def _models() -> list[Path]:
    return [p for p in root().iterdir() if p.is_dir()] if os.path.isdir(root()) else []


def _size(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):  # another process has removed it
        for file in folder.iterdir():
            total += file.stat().st_size
    return total


def used(path: Path) -> float:
    """When a file or folder was used last; 0 where another process has removed it."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def about() -> str:
    """What is kept, for `doctor`."""
    if limit() == 0:
        return f"none are kept ({environment.said(VARIABLE)})"
    folders = _models()
    kept = sum(map(_size, folders)) / 2**20
    most = min(limit(), SHARE * files.free_bytes(root())) / 2**20
    return f"{root()} ({len(folders)} model{'s' * (len(folders) != 1)}, {kept:,.0f} MiB of at most {most:,.0f} MiB)"
