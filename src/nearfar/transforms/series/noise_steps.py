from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class NoiseSteps:
    """Add a normal random number to every value, "jitter" (Um et al. 2017, arXiv 1706.00527).

    Parameters
    ----------
    spread : float
        Standard deviation, in those of the data.
    """

    spread: float = knob(0.1, low=0)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        return series + self.spread * draws.normal(*series.shape[1:])
