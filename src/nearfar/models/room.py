"""Networks that are too large for the memory that is free are refused before any of it is taken."""

from __future__ import annotations

import os
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
        found = int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration):
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        most, taken = (int(Path(f"/sys/fs/cgroup/memory.{n}").read_text(encoding="ascii")) for n in ("max", "current"))
    except (OSError, ValueError):  # no limit
        return found
    return min(found, max(0, most - taken))


def check(build: Callable[[], Any], what: str, where: str, taken: int = 0, copies: int = 1) -> None:
    """Raise a `ConfigError` where what `build` gives, and `taken` numbers beside it, do not fit into memory.

    It is built without memory (on the device "meta") and stopped as soon as it is too large. What cannot be built so
    is not judged, and neither is what is built so anyway.
    """
    if torch.get_default_device().type == "meta":
        return
    room, tensors = free() // (WIDTH * copies) - taken, 0

    def count(_: Any, name: str, tensor: torch.Tensor | None) -> None:
        nonlocal room, tensors
        room, tensors = room - (0 if tensor is None else tensor.numel()), tensors + 1
        if room < 0 or tensors > TENSORS:
            raise _TooLarge

    hooks = [module.register_module_parameter_registration_hook(count),
             module.register_module_buffer_registration_hook(count)]  # fmt: skip
    try:
        with unfilled():
            build()
    except _TooLarge:
        raise ConfigError(f"{what} is too large: it does not fit into the {free() / 2**30:,.1f} GiB of memory that "
                          "are free.", where=where, hint="Make its layers fewer or narrower.") from None  # fmt: skip
    except Exception:  # the real building says why
        return
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
