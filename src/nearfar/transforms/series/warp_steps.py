from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.series.crop_steps import span


@dataclass(frozen=True)
class WarpSteps:
    """Let time run faster and slower along a smooth random curve (Um et al. 2017, arXiv 1706.00527).

    A series keeps its first and its last step. Steps of two views no longer correspond: for methods that compare whole
    series.

    Parameters
    ----------
    spread : float
        Standard deviation of the logarithm of the speed at each knot.
    knots : int
        Random speeds over the whole time, with straight lines between.
    """

    spread: float = knob(0.3, low=0)
    knots: int = knob(4, low=2, high=1000)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        steps = series.shape[2]
        speed = F.interpolate((self.spread * draws.normal(1, self.knots)).exp(), steps, mode="linear")[:, 0]
        first, length = (v[:, None] for v in span(series))
        here = torch.arange(steps, device=series.device)
        inside = (here >= first) & (here < first + length)
        passed = torch.where(inside & (here > first), speed, 0).cumsum(1)
        at = first + passed / passed[:, -1:].clamp(min=1e-6) * (length - 1)
        below = at.floor().clamp(0, max(0, steps - 2)).long()
        weight = (at - below).clamp(0, 1)[:, None]
        values = [series.gather(2, (below + i).clamp(max=steps - 1)[:, None].expand_as(series)) for i in (0, 1)]
        # Weight 0 or 1 leaves a step as it is, though its neighbour is missing.
        low, high = (torch.where(w > 0, v, 0) for w, v in zip((1 - weight, weight), values, strict=True))
        return torch.where(inside[:, None], low * (1 - weight) + high * weight, torch.nan)
