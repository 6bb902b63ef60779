"""Numbers that are learnt with the network: temperatures, scales, biases."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


class LearntNumber(nn.Module):
    """One number, cut to its bounds; `logarithmic`: its logarithm is the parameter, so that it stays positive."""

    def __init__(self, start: float, low: float | None, high: float | None, *, logarithmic: bool) -> None:
        super().__init__()
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if not low <= start <= high or (logarithmic and start <= 0):
            raise ValueError(f"start: expected a number from {low} to {high}, got {start}")
        self.low, self.high, self.logarithmic = low, high, logarithmic
        self.raw = nn.Parameter(torch.tensor([math.log(start) if logarithmic else start]))  # shards have an axis

    def forward(self) -> torch.Tensor:
        """The number, shape (), with gradient."""
        raw = self.raw.reshape(())
        return _Cut.apply(raw.exp() if self.logarithmic else raw, self.low, self.high)


class _Cut(torch.autograd.Function):
    """clamp whose gradient is dropped only where a descent along it would go further out of the bounds.

    That of ``torch.clamp`` is 0 there, and a number at its bound would stay for good.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        ctx.save_for_backward(x <= low, x >= high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        below, above = ctx.saved_tensors
        outward = (below & (gradient > 0)) | (above & (gradient < 0))
        return torch.where(outward, 0.0, gradient), None, None
