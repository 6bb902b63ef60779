"""Checks of arguments that objectives share. Each message names the argument, what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def embeddings(name: str, x: torch.Tensor, rows: int | None = None) -> torch.Tensor:
    """`x` (N, D) with N = `rows`, in float32 or float64."""
    if not isinstance(x, torch.Tensor) or x.dim() != 2:
        raise ValueError(f"{name}: expected a tensor of shape (N, D), got {_what(x)}")
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected floating point numbers, got {x.dtype}")
    if x.shape[1] == 0 or x.shape[0] == 0:
        raise ValueError(f"{name}: expected at least one row and one dimension, got shape {tuple(x.shape)}")
    if rows is not None and len(x) != rows:
        raise ValueError(f"{name}: expected {rows} rows, got {len(x)}")
    return x if x.dtype == torch.float64 else x.float()


def same_shapes(name: str, xs: Sequence[torch.Tensor], rows: int | None, least: int = 1) -> list[torch.Tensor]:
    """Several embeddings of the same rows and dimensions."""
    if isinstance(xs, torch.Tensor) or len(xs) < least:
        raise ValueError(f"{name}: expected a sequence of at least {least} tensors (N, D), got {_what(xs)}")
    checked = [embeddings(f"{name}[{i}]", x, rows) for i, x in enumerate(xs)]
    for i, x in enumerate(checked):
        if x.shape != checked[0].shape:
            raise ValueError(f"{name}[{i}]: expected shape {tuple(checked[0].shape)}, got {tuple(x.shape)}")
    return checked


def temperature(value: float | torch.Tensor) -> float | torch.Tensor:
    """A temperature above 0; a tensor (learnable) passes through."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(f"temperature: expected one number, got shape {tuple(value.shape)}")
        return value.reshape(())
    if not value > 0:
        raise ValueError(f"temperature: expected a number above 0, got {value}")
    return value


def _what(x: object) -> str:
    return (
        f"shape {tuple(x.shape)}"
        if isinstance(x, torch.Tensor)
        else f"{type(x).__name__} of {len(x)}"
        if isinstance(x, Sequence)
        else repr(x)
    )
