from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class MaskSteps:
    """Steps are hidden: all channels become 0 there, the mean (TS2Vec: Yue et al. 2022, arXiv 2106.10466)."""

    rate: float = knob(0.15, low=0, high=1)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        hidden = draws.bernoulli(self.rate, series.shape[2])[:, None] & ~series.isnan()
        return series.masked_fill(hidden, 0.0)
