from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.series.crop_steps import CropSteps


@dataclass(frozen=True)
class CommonCrop(CropSteps):
    """Keep a run of the steps that is the same in all views of a series (T-Loss: Franceschi et al., arXiv 1901.10738).

    Parameters
    ----------
    share : (float, float)
        The run's length as a share of the series', drawn evenly; two steps are kept at least.
    """

    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        return super().apply(series, draws.common)
