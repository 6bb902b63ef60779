from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class WarpSize:
    """Multiply every channel by a smooth random curve, "magnitude warp" (Um et al. 2017, arXiv 1706.00527).

    Parameters
    ----------
    spread : float
        Standard deviation of the curve, whose mean is 1.
    knots : int
        Random numbers that the curve goes through, with straight lines between.
    """

    spread: float = knob(0.2, low=0)
    knots: int = knob(4, low=2, high=1000)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        curve = 1 + self.spread * draws.normal(series.shape[1], self.knots)
        return series * F.interpolate(curve, series.shape[2], mode="linear", align_corners=True)
