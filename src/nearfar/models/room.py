"""Networks that are too large for the memory that is free are refused before any of it is taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module
from torch.overrides import TorchFunctionMode

from nearfar.core.errors import ConfigError

TENSORS = 20_000  # of one network
COPIES = 4  # of every weight in training: itself, its gradient and two means of it
WIDTH = 4  # bytes of a number


def free() -> int:
    """Bytes of memory that this process can still take."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration):
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        most, taken = (int(Path(f"/sys/fs/cgroup/memory.{n}").read_text(encoding="ascii")) for n in ("max", "current"))
    except (OSError, ValueError):  # no limit
        return available
    return min(available, max(0, most - taken))


def check(build: Callable[[], Any], what: str, where: str, taken: int = 0, copies: int = 1) -> None:
    """Raise a `ConfigError` where what `build` gives, and `taken` numbers beside it, do not fit into memory.

    It is built without memory (on the device "meta") and stopped as soon as it is too large.
    """
    if torch.get_default_device().type == "meta":  # built without memory anyway
        return
    try:
        with unfilled(), bounded(TENSORS, free() // (WIDTH * copies) - taken, _TooLarge, buffers=True):
            build()
    except _TooLarge:
        needs = f"it needs {size:,.1f} GiB and" if (size := _size(build, taken) * copies / 2**30) else "it"
        message = f"{what} is too large: {needs} does not fit into {free() / 2**30:,.1f} GiB of free memory."
        hint = "Make its layers fewer or narrower, or take a smaller model."
        raise ConfigError(message, where=where, hint=hint) from None
    except Exception:  # what cannot be built without memory; the real building says what is wrong, if something is
        return


def _size(build: Callable[[], Any], taken: int) -> int:
    """Bytes of the parameters and buffers that `build` gives, and of `taken` numbers; 0 where they are too many."""
    try:
        with unfilled(), bounded(TENSORS, float("inf"), _TooLarge, buffers=True):
            built = build()
    except Exception:  # of which it is known that it is too large
        return 0
    return WIDTH * (taken + sum(t.numel() for t in (*built.parameters(), *built.buffers())))


@contextmanager
def bounded(tensors: float, numbers: float, error: Callable[[], Exception], *, buffers: bool = False) -> Iterator[None]:
    """While networks are built, raise an error as soon as their parameters are more tensors or more numbers."""
    left, me = [tensors, numbers], threading.get_ident()

    def count(_: Any, name: str, tensor: torch.Tensor | None) -> None:
        if tensor is None or threading.get_ident() != me:  # the hook is called for what other threads build too
            return
        left[0] -= 1
        left[1] -= tensor.numel()
        if min(left) < 0:
            raise error()

    hooks = [module.register_module_parameter_registration_hook(count)]
    hooks += [module.register_module_buffer_registration_hook(count)] if buffers else []
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def unfilled() -> Iterator[None]:
    """What is built in this context is on the device "meta": tensors have a shape and no memory."""
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    """Passes over a filling on "meta" that changes nothing and would import torch's compiler, which takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.normal_, nn.init.normal_):
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


class _TooLarge(Exception):
    pass
