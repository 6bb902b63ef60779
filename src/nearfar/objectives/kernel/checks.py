"""Checks of arguments that objectives share. Each message names the argument, what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nearfar.objectives.kernel.info import Scalar, Views


class NotFinite(ValueError):
    """An argument has numbers that are NaN or infinite."""


def embeddings(name: str, x: torch.Tensor, rows: int | None = None, dims: int = 2) -> torch.Tensor:
    """`x` (N, D), or (N, K, D), with N = `rows`, in float32 or float64."""
    if not isinstance(x, torch.Tensor) or x.dim() != dims:
        raise ValueError(f"{name}: expected a tensor of shape {'(N, D)' if dims == 2 else '(N, K, D)'}, got {_what(x)}")
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected floating point numbers, got {x.dtype}")
    if 0 in x.shape:
        raise ValueError(f"{name}: expected at least one row and one dimension, got shape {tuple(x.shape)}")
    if rows is not None and len(x) != rows:
        raise ValueError(f"{name}: expected {rows} rows, got {len(x)}")
    # A GPU would have to wait for this answer; there the loss shows numbers that are not finite.
    if x.device.type == "cpu" and not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x.detach())).flatten(1).any(1).nonzero()[0])
        raise NotFinite(f"{name}: expected finite numbers, got NaN or infinity in row {row}")
    return x if x.dtype == torch.float64 else x.float()


def same_shapes(name: str, xs: Views, rows: int | None, least: int = 1) -> list[torch.Tensor]:
    """Several embeddings of the same rows and dimensions."""
    if isinstance(xs, torch.Tensor) or len(xs) < least:
        raise ValueError(f"{name}: expected a sequence of at least {least} tensors (N, D), got {_what(xs)}")
    return _alike({f"{name}[{i}]": x for i, x in enumerate(xs)}, rows)


def steps(views: Views, there: Views) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """States (N, T, D) of two or more views of the same rows, and masks bool (N, T) of the steps that there are."""
    xs = [embeddings(f"views[{i}]", x, dims=3) for i, x in enumerate(views)]
    if len(xs) < 2 or any(x.shape != xs[0].shape for x in xs):
        raise ValueError(
            f"views: expected 2 or more tensors (N, T, D) of one shape, got {[tuple(x.shape) for x in xs]}"
        )
    masks = list(there)
    if len(masks) != len(xs) or any(m.shape != xs[0].shape[:2] or m.dtype != torch.bool for m in masks):
        raise ValueError(f"there: expected {len(xs)} bool tensors of shape {tuple(xs[0].shape[:2])}")
    return xs, masks


def sides(relation: Any, **named: torch.Tensor) -> list[torch.Tensor]:
    """Embeddings (N, D) of the rows of a relation, such as ``left=`` and ``right=``, all of one shape."""
    return _alike(named, None if relation is None else len(relation))


def _alike(named: dict[str, torch.Tensor], rows: int | None) -> list[torch.Tensor]:
    checked = [embeddings(name, x, rows) for name, x in named.items()]
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


def temperature(value: Scalar) -> Scalar:
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


def within(name: str, value: float, low: float, high: float) -> float:
    """A number from `low` to `high`."""
    if not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value}")
    return value


def choice(name: str, value: str, choices: Sequence[str]) -> str:
    """One of some words."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")
    return value


def _what(x: object) -> str:
    if isinstance(x, torch.Tensor):
        return f"shape {tuple(x.shape)}"
    return f"{type(x).__name__} of {len(x)}" if isinstance(x, Sequence) else repr(x)
