from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class DropChannels:
    """Channels become 0, their mean, at every step; one that is kept stays in every series."""

    rate: float = knob(0.2, low=0, high=1)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        drawn = draws.uniform(0, 1, series.shape[1])
        dropped = (drawn < self.rate) & (drawn < drawn.amax(1, keepdim=True))
        return series.masked_fill(dropped[:, :, None] & ~series.isnan(), 0.0)
