from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Solarise:
    """Invert what is brighter than `threshold` (Grill et al. 2020, arXiv 2006.07733)."""

    threshold: float = 0.5
    p: float = knob(0.2, low=0, high=1)
    kind = "pixels"
    channels = (1, 3)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        on = draws.bernoulli(self.p)[:, None, None, None]
        return torch.where(on & (images >= self.threshold), 1 - images, images)
