"""Figures of the same vectors, by the same code, are computed once; they lie beside the kept vectors.

The name of a file is the hash of all that its figures follow from: vectors, labels and settings, every file of this
package, and the versions of the libraries that compute. So what is kept can be old only by being unused. In the file
stands the hash of its figures too, so that one which is damaged is not believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import numpy as np

from nearfar.core import files
from nearfar.core.errors import NearfarError
from nearfar.models import kept

PACKAGE = Path(__file__).parents[1]
MOST = 2000  # files, of a few KiB each; then the half that was used least recently goes
LOADED = time.time()
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")

T = TypeVar("T")


def root() -> Path:
    """Folder of all figures."""
    return files.cache_home() / "figures"


def figures(compute: Callable[..., T], *inputs: Any, keep: bool = True, **options: Any) -> T:
    """``compute(*inputs, **options)``, taken from where it is kept, or kept where it can be.

    Kept is what JSON holds without loss, of a function of this package: what a plug-in's function reads is not known.

    Parameters
    ----------
    inputs
        Arrays, dataclasses and mappings of them, and JSON values.
    keep : bool
        Neither look nor keep, if false; nor with ``NEARFAR_VECTORS=0``.
    """
    if not keep or kept.limit() == 0 or not _is_ours(compute) or not (code := _code()):
        return compute(*inputs, **options)
    digest = hashlib.blake2b(code, digest_size=16)
    owner = getattr(compute, "__self__", None)  # of a method, whose settings it follows
    _read_into(digest, [compute.__module__, compute.__qualname__, owner, inputs, options])
    file = root() / f"{digest.hexdigest()}.json"
    with contextlib.suppress(NearfarError):
        found = files.read_json(file, _Kept)
        if found["sum"] == _sum(found["figures"]):
            with contextlib.suppress(OSError):  # what may only be read
                os.utime(file)
            return found["figures"]
    made = compute(*inputs, **options)
    with contextlib.suppress(NearfarError, OSError, TypeError, ValueError):
        if json.loads(json.dumps(made, allow_nan=False)) == made:
            _make_room()
            file.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(file, {"figures": made, "sum": _sum(made)})
    return made


class _Kept(TypedDict):
    figures: Any
    sum: str


def _sum(made: Any) -> str:
    return hashlib.blake2b(json.dumps(made).encode(), digest_size=8).hexdigest()


def _is_ours(compute: Callable[..., Any]) -> bool:
    """Whether a function is what this package has by its name: one of a plug-in around it may bear the name too."""
    module, name = getattr(compute, "__module__", None) or "", getattr(compute, "__qualname__", "")
    found: Any = sys.modules.get(module) if module.startswith("nearfar.") else None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None and getattr(compute, "__func__", compute) is found


@cache
def _code() -> bytes:
    """Hash of this package's files and of the versions of what it computes with.

    Empty where a file was changed after this process began: what it computes with is then no longer what is there.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.stat().st_mtime > LOADED:
            return b""
        digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(json.dumps([importlib.metadata.version(name) for name in LIBRARIES]).encode())
    return digest.digest()


def _read_into(digest: Any, value: Any) -> None:
    """Add a value to a hash, so that different ones differ."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).view(np.uint8).data)
    elif is_dataclass(value):
        _read_into(digest, [type(value).__name__, {f.name: getattr(value, f.name) for f in fields(value)}])
    elif isinstance(value, np.generic):
        _read_into(digest, value.item())
    elif isinstance(value, Mapping):
        _read_into(digest, [list(item) for item in value.items()])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        digest.update(f"list {len(value)} ".encode())
        for item in value:
            _read_into(digest, item)
    else:
        text = json.dumps(value)
        digest.update(f"value {len(text)} {text} ".encode())


def _make_room() -> None:
    there = list(root().glob("*.json"))
    if len(there) >= MOST:
        for file in sorted(there, key=kept.used)[: len(there) // 2]:
            file.unlink(missing_ok=True)


def about() -> str:
    """What is kept, for `doctor`."""
    there = len(list(root().glob("*.json")))
    return f"{root()} ({there:,} of at most {MOST:,})" if kept.limit() else f"none are kept ({kept.VARIABLE}=0)"
