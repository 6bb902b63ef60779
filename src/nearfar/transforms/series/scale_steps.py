from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class ScaleSteps:
    """Multiply every channel by a random factor (Um et al. 2017, arXiv 1706.00527).

    Parameters
    ----------
    spread : float
        Standard deviation of the factor, whose mean is 1.
    """

    spread: float = knob(0.2, low=0)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        return series * (1 + self.spread * draws.normal(series.shape[1], 1))
