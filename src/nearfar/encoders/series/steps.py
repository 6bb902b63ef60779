"""What networks over time share: where a series is, what they read of it, and one vector of their states."""

from __future__ import annotations

import torch
from torch import nn


class OverTime(nn.Module):
    """A network that gives a state for every step, and the mean and the maximum of these as features: D = 2 `out`.

    A subclass defines ``states(x, there)`` → (N, T, out) of what `read` gives. Nothing may depend on how much is
    missing before the first step and after the last.

    Parameters
    ----------
    channels, out : int
    missing : bool
        Whether steps in between may be missing too: then a further channel for each says where something was measured.
    """

    def __init__(self, channels: int, out: int, missing: bool) -> None:
        super().__init__()
        self.missing, self.inputs, self.out_features = missing, channels * (1 + missing), 2 * out

    def states(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """States (N, T, out) of inputs (N, C, T), which are 0 where `there` (N, T) is false."""
        raise NotImplementedError

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The state of every step of series (N, C, T), (N, T, out), and which steps there are, bool (N, T)."""
        there, inputs = read(x, self.missing)
        return self.states(inputs, there), there

    def pooled(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The mean and the maximum over the steps that are there, (N, 2 · out); zeros for a series without any."""
        weight, any_ = there[:, :, None], there.any(1, keepdim=True)
        total = torch.where(weight, states, 0).sum(1, dtype=torch.promote_types(states.dtype, torch.float32))
        most = torch.where(any_, states.masked_fill(~weight, -torch.inf).amax(1), 0)
        return torch.cat([total / weight.sum(1).clamp(min=1), most.to(total.dtype)], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(*self.steps(x))


def read(x: torch.Tensor, missing: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """From where to where each series goes, bool (N, T), and its numbers, 0 where there are none, (N, C, T).

    With `missing`, as many channels again say where a number is.
    """
    known = ~x.isnan()
    any_ = known.any(1)
    there = any_.cummax(1).values & any_.flip(1).cummax(1).values.flip(1)
    x = torch.where(known, x, 0)
    return there, torch.cat([x, known.to(x.dtype)], 1) if missing else x


def from_start(x: torch.Tensor, there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each of `x` (N, T, …) turned so that its first step comes first, and the places (N, T) that turn it back."""
    first = there.to(torch.uint8).argmax(1, keepdim=True)
    here = torch.arange(there.shape[1], device=x.device)
    return turned(x, (here + first) % there.shape[1]), (here - first) % there.shape[1]


def turned(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The steps of `x` (N, T, …) at these places (N, T)."""
    return x.gather(1, places.reshape(*places.shape, *[1] * (x.ndim - 2)).expand_as(x))
