"""The one loop that sends rows of a column through a branch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from nearfar.core import devices
from nearfar.core.errors import DataError
from nearfar.core.registry import MODALITIES

if TYPE_CHECKING:
    import numpy as np

    from nearfar.data.table import Column
    from nearfar.models.branches import Branch


NUMBERS = 2**25  # of a batch as the encoder takes it: a thousand pictures of 96 × 96 pixels


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
