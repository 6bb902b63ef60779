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
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from nearfar.core import environment, leftovers
from nearfar.core.errors import ConfigError, RunError, StorageError, UserError, kind_of
from nearfar.core.schema import fits, within

if TYPE_CHECKING:
    import torch

HANDLES = ("/dev/std", "/dev/fd/", "/proc/")  # names of what the process has open, which is written into
JSON_LIMIT = 64 * 2**20  # bytes; a config or a report is far smaller
HEADER_LIMIT = 16 * 2**20  # bytes; a tensor takes about a hundred
AXES = 8  # of a tensor, at most
# of safetensors, and torch's
DTYPES = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
          "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}  # fmt: skip


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file so that its name always means a whole one: temporary file beside it, fsync, rename.

    A link is followed, and a device or pipe written into. The file has the permissions of the one that it replaces,
    or those that the process gives to new files. Where it fails, what was there before is still there; see
    `storage_error`.
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
    temporary, held = leftovers.begin(path, lambda place: open(place, "xb").close())
    try:
        with open(temporary, "wb") as f:
            f.write(content)
            f.flush()
            now = os.fstat(f.fileno())
            if there is not None and hasattr(os, "fchown"):
                if (there.st_uid, there.st_gid) != (now.st_uid, now.st_gid):
                    with contextlib.suppress(PermissionError):
                        os.fchown(f.fileno(), there.st_uid, there.st_gid)
                os.fchmod(f.fileno(), stat.S_IMODE(there.st_mode))
            os.fsync(f.fileno())
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # also where the rest of a full disk's errors come from
            temporary.unlink(missing_ok=True)
        raise
    finally:
        leftovers.end(held)
    with contextlib.suppress(OSError):  # the file is there; a power cut may still take it back
        sync(path.parent)


def check_target(path: str | Path, *read: str | None, where: str = "--out") -> None:
    """Raise a `ConfigError` where no file can be written, or one would be that is to be `read` before."""
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {Path(path).parent}.", where=where)
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder, not a file.", where=where)
    if any(os.path.exists(path) and os.path.exists(r) and os.path.samefile(path, r) for r in read if r):
        raise ConfigError(f"{path} is what is read, and would be written over.", where=where,
                          hint="Choose another --out.")  # fmt: skip


def write_text(path: str | Path, text: str) -> None:
    r"""Write text as `write_atomic` does, in UTF-8; bytes of a path that are none as ``\udc…``."""
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def storage_error(path: str | Path, e: OSError) -> StorageError | UserError:
    """The sentence for a write that failed; a `UserError` where the path is at fault."""
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(path) / 2**20
        return StorageError(
            f"the disk is full ({free:,.0f} MiB free).", where=str(path),
            hint="Free some space, or choose another place; nothing that was there before is lost.",
        )  # fmt: skip
    return kind_of(e)(f"cannot be written ({e.strerror or e}).", where=str(path))


def failure_of_disk(e: Exception) -> OSError | None:
    """The `OSError` that a library's error stands for where the disk is at fault: it is full, or fails."""
    said = re.search(r"\(os error (\d+)\)", str(e))  # as libraries written in Rust say it
    code = e.errno if isinstance(e, OSError) else int(said[1]) if said else None
    if code not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG):
        return None
    return e if isinstance(e, OSError) else OSError(code, os.strerror(code))


def free_bytes(path: str | Path) -> int:
    """Free space of the file system that `path` is, or will be, on."""
    path = Path(path).absolute()
    while not os.path.exists(path):
        path = path.parent
    return shutil.disk_usage(path).free


def append_line(path: str | Path, line: str) -> None:
    """Add one line to a log."""
    append(path, f"{line}\n".encode("utf-8", "backslashreplace"))


def append(path: str | Path, content: bytes) -> None:
    """Add bytes to a log."""
    try:
        with open(path, "ab") as f:
            f.write(content)
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


def read_json(path: str | Path, hint: Any = Any) -> Any:
    """What a JSON file says; a `RunError` where it is missing or damaged, or does not fit the hint (`core.schema`)."""
    value = json_of(read_bytes(path), str(path))
    fits(value, hint, str(path))
    return value


def read_bytes(path: str | Path, limit: int = JSON_LIMIT) -> bytes:
    """The content of a small file; a `RunError` where it is missing, larger than `limit`, or a pipe or device."""
    try:
        check_file(path)
        with open(path, "rb") as f:
            content = f.read(min(limit, os.fstat(f.fileno()).st_size) + 1)  # as much is reserved
    except (OSError, ValueError) as e:
        raise RunError(f"cannot be read ({getattr(e, 'strerror', None) or e}).", where=str(path)) from e
    if len(content) > limit:
        raise RunError(f"is larger than {limit >> 20} MiB, which no such file is.", where=str(path))
    return content


def check_file(path: str | Path) -> None:
    """Raise `RunError` for a pipe, which would be waited for, a device or a folder; `OSError` where nothing is."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise RunError("is no file.", where=str(path))


def json_of(content: bytes | str, where: str) -> Any:
    """What JSON says, in UTF-8, no key of which is there twice; raises `RunError` where it is damaged."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as e:
        raise RunError("is damaged: it is nested too deep.", where=where) from e
    except UnicodeDecodeError as e:
        raise RunError(f"is damaged: byte {e.start:,} is not UTF-8.", where=where) from e
    except ValueError as e:
        raise RunError(f"is damaged: {e}.", where=where) from e


def check_schema(values: Any, known: int, where: str) -> None:
    """Raise `RunError` where the number of a file's form is not one that this version knows."""
    fits(values, dict[str, Any], where)
    schema = values.get("schema")
    if isinstance(schema, int) and schema > known:
        raise RunError(f"was written by a newer nearfar ({values.get('nearfar', 'unknown version')!s:.40}).",
                       where=where, hint="Upgrade nearfar to read it.")  # fmt: skip
    fits(schema, Annotated[int, within(1, known)], where, "schema")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [k for k, _ in pairs]
        twice = next(k for k in table if keys.count(k) > 1)
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return table


def sha256(content: bytes | Path) -> str:
    """Hash of bytes, or of a file's content."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open(content, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def save_tensors(path: str | Path, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors as safetensors, with a checksum among the metadata."""
    from safetensors.torch import save

    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    own = {"checksum": _checksum(tensors), "metadata": _hash_of(metadata)}
    described = json.dumps({**metadata, **own}, sort_keys=True)
    write_atomic(path, save(tensors, {"nearfar": described}))  # one key: several come out in any order


def load_tensors(
    path: str | Path, check: Callable[[dict[str, torch.Tensor]], None] | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file; a `RunError` where it is not what was written, or not finite.

    `check` is handed what the header says, by name tensors without numbers, and raises where they are not what is
    wanted: no number has been read then, and no memory taken.
    """
    with _tensors_of(path) as (f, header):
        metadata = json_of((f.metadata() or {}).get("nearfar", "{}"), str(path))
        fits(metadata, dict[str, Any], str(path), "its metadata")
        if check is not None:
            check(header)
        tensors = {name: f.get_tensor(name) for name in header}
    checksum, about = metadata.pop("checksum", None), metadata.pop("metadata", None)  # the latter of late versions
    if checksum != _checksum(tensors) or about not in (None, _hash_of(metadata)):
        raise RunError(
            "is damaged or was not written by nearfar: its content is not what was written.", where=str(path)
        )
    for name, tensor in tensors.items():
        numbers = tensor.is_floating_point() and tensor.numel()
        if numbers and not all(edge.isfinite() for edge in tensor.aminmax()):  # NaN is passed on by both
            raise RunError(f"{name} holds numbers that are not finite.", where=str(path),
                           hint="Its training went wrong, or the file was changed.")  # fmt: skip
    return tensors, metadata


def tensor_header(path: str | Path) -> dict[str, torch.Tensor]:
    """What the header of a safetensors file announces: tensors without numbers, by name; see `load_tensors`."""
    with _tensors_of(path) as (_, header):
        return header


def one_tensor(path: str | Path, name: str) -> torch.Tensor:
    """One tensor of a safetensors file; `load_tensors` is what looks at the checksum of all."""
    with _tensors_of(path) as (f, _):
        return f.get_tensor(name)


@contextlib.contextmanager
def _tensors_of(path: str | Path) -> Iterator[tuple[Any, dict[str, torch.Tensor]]]:
    """An open safetensors file and its header; what is wrong with it becomes a `RunError`."""
    from safetensors import SafetensorError, safe_open

    try:
        check_file(path)
        with open(path, "rb") as raw:
            size = int.from_bytes(raw.read(8), "little")
        if size > HEADER_LIMIT:  # of which as much memory would be taken
            raise ValueError(f"its header is larger than {HEADER_LIMIT >> 20} MiB")
        with safe_open(str(path), framework="pt") as f:
            yield f, {name: _announced(f.get_slice(name), name) for name in f.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as e:
        raise RunError("is missing.", where=str(path)) from e
    except (SafetensorError, OSError, ValueError) as e:
        raise RunError(
            f"is damaged or no safetensors file ({e}).", where=str(path),
            hint="nearfar reads no pickled weights: they can run code.",
        ) from e  # fmt: skip


def _announced(part: Any, name: str) -> torch.Tensor:
    """A tensor that a header announces, without its numbers; raises `ValueError` for one that nearfar never writes."""
    import torch

    kind, shape = part.get_dtype(), part.get_shape()
    if kind not in DTYPES or len(shape) > AXES:
        raise ValueError(f"{name} is of the type {kind} with {len(shape)} axes")
    return torch.empty(shape, dtype=getattr(torch, DTYPES[kind]), device="meta")


def _hash_of(metadata: dict[str, Any]) -> str:
    return sha256(json.dumps(metadata, sort_keys=True).encode())[:32]


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cache_home() -> Path:
    """``$NEARFAR_HOME``, by default the user's cache folder."""
    if (home := environment.folder("NEARFAR_HOME")) is not None:
        return home
    cache = environment.folder("XDG_CACHE_HOME")
    if cache is None or not cache.is_absolute():  # as its specification says
        cache = Path(os.path.expanduser("~/.cache"))
    return cache / "nearfar"
