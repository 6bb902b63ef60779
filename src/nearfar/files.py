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
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import leftovers
from nearfar.errors import RunError, StorageError

if TYPE_CHECKING:
    import torch

HANDLES = ("/dev/std", "/dev/fd/", "/proc/")  # names of what the process has open, which is written into
JSON_LIMIT = 64 * 2**20  # bytes; a config or a report is far smaller


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file so that its name always means a whole one: temporary file beside it, fsync, rename.

    A link is followed, and a device or pipe written into. The file has the permissions of the one that it replaces,
    or those that the process gives to new files.

    Raises
    ------
    StorageError
        The disk is full or the place cannot be written; what was there before is still there.
    """
    try:
        try:
            there = os.stat(path)
        except FileNotFoundError:
            there = None
        if there is None or (stat.S_ISREG(there.st_mode) and not os.path.abspath(path).startswith(HANDLES)):
            _replace(Path(os.path.realpath(path)), content, there)
        else:
            with open(path, "wb") as f:
                f.write(content)
    except OSError as e:
        raise storage_error(path, e) from e


def _replace(path: Path, content: bytes, there: os.stat_result | None) -> None:
    leftovers.sweep(path)
    temporary = leftovers.beside(path)
    try:
        with open(temporary, "xb") as f:
            held = leftovers.hold(temporary)
            try:
                f.write(content)
                f.flush()
                if there is not None:
                    _as_before(f.fileno(), there)
                os.fsync(f.fileno())
                os.replace(temporary, path)
            finally:
                if held is not None:
                    os.close(held)
    except BaseException:
        with contextlib.suppress(OSError):  # also where the rest of a full disk's errors come from
            temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # the file is there; a power cut may still take it back
        sync(path.parent)


def _as_before(handle: int, there: os.stat_result) -> None:
    """Give a file the permissions and the owner of the one that it replaces."""
    if hasattr(os, "fchown") and (there.st_uid, there.st_gid) != (os.fstat(handle).st_uid, os.fstat(handle).st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, there.st_uid, there.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(handle, stat.S_IMODE(there.st_mode))


def write_text(path: str | Path, text: str) -> None:
    r"""Write text as `write_atomic` does, in UTF-8; bytes of a path that are none as ``\udc…``."""
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


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
    """Have on the disk what was appended to a file or renamed in a folder, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
