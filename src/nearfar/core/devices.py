"""Devices, precision, and what of torch is used on them."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError


def device(name: str = "auto") -> torch.device:
    """The device called `name`; ``auto`` is a GPU where there is one, and a `ConfigError` is raised for none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        result = torch.device(name)
    except RuntimeError as e:
        raise ConfigError(f"there is no device called {name!r}.", where="train.device", hint="Use cpu or cuda.") from e
    if result.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("this machine has no usable GPU.", where="train.device", hint="Use --device cpu.")
    try:
        torch.zeros(1, device=result).item()
    except (RuntimeError, NotImplementedError, AssertionError) as e:
        raise ConfigError(f"the device {name!r} cannot be used here.", where="train.device",
                          hint="Use cpu, or cuda where there is a GPU.") from e  # fmt: skip
    return result


def precision(name: str, on: torch.device) -> str:
    """``bf16`` where the hardware computes in it, when `name` is ``auto``."""
    if name != "auto":
        return name
    if on.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if on.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else "fp32"


def autocast(on: torch.device, kind: str) -> contextlib.AbstractContextManager[Any]:
    """The network in bfloat16, or as it is."""
    return torch.autocast(on.type, dtype=torch.bfloat16, enabled=kind == "bf16")


def channels_last(module: nn.Module) -> nn.Module:
    """The module with its convolutions' weights laid out so that they run fastest."""
    if any(isinstance(m, nn.Conv2d) for m in module.modules()):
        return module.to(memory_format=torch.channels_last)
    return module


def eager(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """The same without the wrappers that import torch's compiler, which takes seconds: no step is compiled."""
    own = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad", "step")}
    return type(kind.__name__, (kind,), own | {"step": torch.no_grad()(own["step"])})
