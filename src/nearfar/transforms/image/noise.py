from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, whose standard deviation is drawn for each row from [0, sigma]."""

    sigma: float = 0.1
    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        strength = draws.uniform(0, self.sigma) * draws.bernoulli(self.p)
        return images + strength[:, None, None, None] * draws.normal(*images.shape[1:])
