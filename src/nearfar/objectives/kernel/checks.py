"""Checks of arguments that objectives share. Each message names the argument, what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class NotFinite(ValueError):
    """An argument has numbers that are NaN or infinite."""


def embeddings(name: str, x: torch.Tensor, rows: int | None = None, dims: int = 2) -> torch.Tensor:
    """`x` (N, D), or (N, K, D), with N = `rows`, in float32 or float64.

    On a GPU numbers that are not finite are not looked for, which would make it wait; the loss shows them.
    """
    shape = "(N, D)" if dims == 2 else "(N, K, D)"
    if not isinstance(x, torch.Tensor) or x.dim() != dims:
        raise ValueError(f"{name}: expected a tensor of shape {shape}, got {_what(x)}")
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected floating point numbers, got {x.dtype}")
    if 0 in x.shape:
        raise ValueError(f"{name}: expected at least one row and one dimension, got shape {tuple(x.shape)}")
    if rows is not None and len(x) != rows:
        raise ValueError(f"{name}: expected {rows} rows, got {len(x)}")
    if x.device.type == "cpu" and not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x.detach())).flatten(1).any(1).nonzero()[0])
        raise NotFinite(f"{name}: expected finite numbers, got NaN or infinity in row {row}")
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


def sides(relation: Any, **named: torch.Tensor) -> list[torch.Tensor]:
    """Embeddings (N, D) of the rows of a relation, such as ``left=`` and ``right=``, all of one shape."""
    checked = [embeddings(name, x, None if relation is None else len(relation)) for name, x in named.items()]
    for name, x in zip(named, checked, strict=True):
        if x.shape != checked[0].shape:
            raise ValueError(f"{name}: expected shape {tuple(checked[0].shape)}, got {tuple(x.shape)}")
    return checked


def triplets(
    anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Given triplets: anchor and positive (N, D), K negatives each (N, K, D)."""
    a, p = sides(None, anchor=anchor, positive=positive)
    n = embeddings("negative", negative, len(a), dims=3)
    if n.shape[2] != a.shape[1]:
        raise ValueError(f"negative: expected {a.shape[1]} dimensions, got {n.shape[2]}")
    return a, p, n


def score(relation: Any, like: torch.Tensor) -> torch.Tensor:
    """The scores (N,) of the pairs of a relation, on the device of `like`."""
    if relation.score is None:
        raise ValueError("relation.score: expected a score for each pair, got None")
    return relation.score.to(like.device)


def temperature(value: float | torch.Tensor) -> float | torch.Tensor:
    """A temperature above 0; a tensor (learnable) passes through."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(f"temperature: expected one number, got shape {tuple(value.shape)}")
        return value.reshape(())
    return above("temperature", value)


def above(name: str, value: float, least: float = 0.0) -> float:
    """A number above `least`."""
    if not value > least:
        raise ValueError(f"{name}: expected a number above {least:g}, got {value}")
    return value


def at_least(name: str, value: float, least: float = 0.0) -> float:
    """A number from `least` on."""
    if not value >= least:
        raise ValueError(f"{name}: expected a number from {least:g} on, got {value}")
    return value


def choice(name: str, value: str, choices: Sequence[str]) -> str:
    """One of some words."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")
    return value


def _what(x: object) -> str:
    return (
        f"shape {tuple(x.shape)}"
        if isinstance(x, torch.Tensor)
        else f"{type(x).__name__} of {len(x)}"
        if isinstance(x, Sequence)
        else repr(x)
    )
