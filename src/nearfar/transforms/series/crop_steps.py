from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range


@dataclass(frozen=True)
class CropSteps:
    """Keep a run of the steps; all outside becomes missing, so that every step stays where it is.

    Two views of a series overlap where both keep something (TS2Vec: Yue et al. 2022, arXiv 2106.10466).

    Parameters
    ----------
    share : (float, float)
        The run's length as a share of the series', drawn evenly; two steps are kept at least.
    """

    share: tuple[float, float] = knob((0.5, 1.0), low=0, high=1)
    p: float = knob(1.0, low=0, high=1)
    kind = "series"

    def __post_init__(self) -> None:
        check_range("crop_steps.share", self.share, most=1)

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        first, length = span(series)
        kept = (draws.uniform(*self.share) * length).round().clamp(min=2).minimum(length)
        start = first + (draws.uniform(0, 1) * (length - kept + 1)).floor()
        here = torch.arange(series.shape[2], device=series.device)
        inside = (here >= start[:, None]) & (here < (start + kept)[:, None])
        outside = ~inside & draws.bernoulli(self.p)[:, None]
        return series.masked_fill(outside[:, None], torch.nan)


def span(series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each series (N, C, T) begins, and how many steps it has from there to its last one; both (N,), float."""
    there = (~series.isnan()).any(1).float()
    first = there.argmax(1)
    last = there.shape[1] - 1 - there.flip(1).argmax(1)
    return first.float(), (last - first + 1).float()
