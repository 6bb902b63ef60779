"""The momentum twin (He et al. 2020, arXiv 1911.05722; Grill et al. 2020, arXiv 2006.07733)."""

from __future__ import annotations

import copy

import torch
from torch import nn

from nearfar.methods.schedule import Schedule


class MomentumTwin(nn.Module):
    """A copy of a network that follows it slowly and gets no gradient.

    Parameters follow by an exponential moving average whose momentum goes by a cosine from the first to the last step
    (Grill et al. 2020, section 3.2). Buffers do not: the twin runs in training mode, so its batch norm uses the
    statistics of its own batch and keeps its own running averages of them.
    """

    def __init__(self, network: nn.Module, momentum: Schedule) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.momentum = momentum

    def forward(self, *args: torch.Tensor) -> object:
        return self.network(*args)

    @torch.no_grad()
    def follow(self, network: nn.Module, progress: float) -> None:
        """Move towards `network`; `progress` is the share of all steps done, 0 … 1."""
        m = self.momentum.at(progress)
        mine, theirs = list(self.network.parameters()), [p.detach() for p in network.parameters()]
        torch._foreach_lerp_(mine, theirs, 1 - m)
