"""The one loop that sends rows of a column through a branch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from nearfar.core import devices
from nearfar.core.errors import DataError
from nearfar.core.registry import MODALITIES

if TYPE_CHECKING:
    from nearfar.data.table import Column
    from nearfar.models.branches import Branch

NUMBERS = 2**25  # of a batch as the encoder takes it: a thousand pictures of 96 × 96 pixels
AT_ONCE = 2**20  # the same on a processor: EfficientNet is quickest with 4 to 8 pictures of 224 × 224
SORTED = 10_000  # rows that are sorted by length together


def encoded(
    branch: Branch, column: Column, rows: np.ndarray, layer: str, device: torch.device | str, precision: str,
    batch_size: int = 1000,
) -> Iterator[torch.Tensor]:  # fmt: skip
    """A layer of rows of a column, as `Branch.output` names it: float32 (B, D) on the device, a batch at a time."""
    modality, device = MODALITIES.get(column.modality), torch.device(device)
    batch_size = max(1, min(batch_size, NUMBERS // max(1, math.prod(column.values.shape[1:]))))
    for start in range(0, len(rows), batch_size):
        values, geometry = column.take(rows[start : start + batch_size], device)
        # no_grad is entered for each batch, since around a `yield` it would hold for whoever takes the batch too.
        with torch.no_grad(), devices.autocast(device, precision):
            z = branch.output(modality.neutral(values, geometry, column.spec), layer)
        yield z.float()


def vectors(
    branch: Branch, column: Column, rows: np.ndarray, layer: str, device: torch.device | str, precision: str, *,
    batch_size: int = 1000, dimensions: int | None = None, advance: Callable[[int], object] = lambda _: None,
) -> torch.Tensor:  # fmt: skip
    """A layer of rows of a column, or its first dimensions, float32 (N, D) on the processor; raises as `check_finite`.

    `batch_size` rows go through at once, on a processor fewer of large ones; `advance` is told how many more are done.
    Where batch norms take their statistics from these rows, batches are as they were asked for, in the rows' order.
    """
    order, free = np.arange(len(rows)), not any(module.training for module in branch.modules())
    if free:
        order = by_length(column, rows)
    if free and torch.device(device).type == "cpu":
        batch_size = max(1, min(batch_size, AT_ONCE // max(1, math.prod(column.values.shape[1:]))))
    # The first part says how wide the whole is, which is then filled: it is never in memory twice.
    whole, done = None, 0
    for part in encoded(branch, column, rows[order], layer, device, precision, batch_size):
        z, places = part[:, :dimensions].cpu(), order[done : done + len(part)]
        check_finite(z, column, rows[places])
        whole = torch.empty(len(rows), z.shape[1]) if whole is None else whole
        whole[torch.from_numpy(places)] = z
        done += len(z)
        advance(len(z))
    return torch.zeros(0, branch.out_features)[:, :dimensions] if whole is None else whole


def states(
    branch: Branch, column: Column, rows: np.ndarray, device: torch.device | str, precision: str, batch_size: int, *,
    normalize: bool = False,
) -> np.ndarray:  # fmt: skip
    """States of the encoder at every step of rows, float32 (N, T, D), NaN where none is; raises as `check_finite`."""
    modality, made = MODALITIES.get(column.modality), []
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        values, geometry = column.take(some, device)
        with torch.no_grad(), devices.autocast(torch.device(device), precision):
            z, there = branch.encoder.steps(modality.neutral(values, geometry, column.spec))
        z = torch.where(there[..., None], z.float(), 0)
        check_finite(z.flatten(1), column, some)
        z = torch.nn.functional.normalize(z, dim=2) if normalize else z
        made.append(z.masked_fill(~there[..., None], torch.nan).cpu())
    return torch.cat(made).numpy()


def by_length(column: Column, rows: np.ndarray) -> np.ndarray:
    """Places among the rows, so that rows of like length come together, `SORTED` at a time, the longest first.

    Then a batch has little padding, and what has no room in memory has none at once.
    """
    places = np.arange(len(rows))
    if column.lengths is None or column.streams:
        return places
    return np.lexsort((-np.asarray(column.lengths[rows], np.int64), places // SORTED))


def check_finite(z: torch.Tensor, column: Column, rows: np.ndarray) -> None:
    """Raise a `DataError` where the vector of a row (N, D), or its length, is not a finite number."""
    if bool(z.norm().isfinite()):  # of all at once, which is quicker
        return
    broken = ~z.square().sum(1).isfinite()
    if broken.any():
        raise DataError(
            f"the vector of row {rows[int(broken.nonzero()[0])]} of {column.name!r} holds numbers that are not finite "
            "or too large.", hint="The model is broken, or what the row holds is too large for it.",
        )  # fmt: skip
