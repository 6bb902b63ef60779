"""The one door for writing, and for opening files that others wrote.

A file is written beside its place and renamed into it, so it is either the old or the new one, whatever happens.
Tensors are read from safetensors only: nothing here ever unpickles.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nearfar.errors import RunError, StorageError

if TYPE_CHECKING:
    import torch

JSON_LIMIT = 64 * 2**20  # bytes; a config or a report is far smaller


def write_atomic(path: str | Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write a file so that its name always means a whole one: temporary file beside it, fsync, rename.

    Raises
    ------
    StorageError
        The disk is full or the place cannot be written; what was there before is still there.
    """
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as f:
            temporary = Path(f.name)
            f.write(content) if isinstance(content, bytes) else content(f)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as e:
        raise storage_error(path, e) from e
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    r"""Write text as `write_atomic` does, in UTF-8; bytes of a path that are none as ``\udc…``."""
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself must survive a power cut
    finally:
        os.close(handle)


def storage_error(path: str | Path, e: OSError) -> StorageError:
    """The sentence for a write that failed."""
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(path) / 2**20
        return StorageError(
            f"the disk is full ({free:,.0f} MiB free).", where=str(path),
            hint="Make room, or choose another place; nothing that was there before is lost.",
        )  # fmt: skip
    return StorageError(f"cannot be written ({e.strerror or e}).", where=str(path))


def free_bytes(path: str | Path) -> int:
    """Free space of the file system that `path` is, or will be, on."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def append_line(path: str | Path, line: str) -> None:
    """Add one line to a log."""
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as f:
            f.write(line + "\n")
    except OSError as e:
        raise storage_error(path, e) from e


def sync(path: str | Path) -> None:
    """Have what was appended to a log on the disk, if it is there."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
        os.fsync(f.fileno())


def finite(value: Any) -> Any:
    """`value` with NumPy numbers as plain ones and numbers that are not finite as None, ready for JSON."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if hasattr(value, "tolist") and not isinstance(value, str):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(value), indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """What a JSON file says.

    Raises
    ------
    RunError
        It is missing, too large or damaged.
    """
    path = Path(path)
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise RunError(f"is larger than {JSON_LIMIT >> 20} MiB, which no such file is.", where=str(path))
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RunError(f"cannot be read ({e.strerror}).", where=str(path)) from e
    except ValueError as e:
        raise RunError(f"is damaged: {e}.", where=str(path)) from e


def sha256(content: bytes | Path) -> str:
    """Hash of bytes, or of a file's content."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open(content, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def save_tensors(path: str | Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors as safetensors, with a checksum among the metadata."""
    from safetensors.torch import save

    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    described = json.dumps({**metadata, "checksum": _checksum(tensors)}, sort_keys=True)
    write_atomic(path, save(tensors, {"nearfar": described}))  # one key: several come out in any order


def load_tensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; nothing else is opened, whatever its name.

    Raises
    ------
    RunError
        It is missing, or no safetensors file, or its content is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as f:
            metadata = json.loads((f.metadata() or {}).get("nearfar", "{}"))
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as e:
        raise RunError("is missing.", where=str(path)) from e
    except (SafetensorError, OSError, ValueError) as e:
        raise RunError(
            f"is damaged or no safetensors file ({e}).", where=str(path),
            hint="nearfar reads no pickled weights: they can run code.",
        ) from e  # fmt: skip
    if metadata.get("checksum") != _checksum(tensors):
        raise RunError("is damaged, or not of nearfar: its content is not what was written.", where=str(path))
    return tensors, metadata


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cache_home() -> Path:
    """``$NEARFAR_HOME``, by default the user's cache folder."""
    if home := os.environ.get("NEARFAR_HOME"):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nearfar"
