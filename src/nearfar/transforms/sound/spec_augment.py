from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class SpecAugment:
    """Bands of mels and stretches of time without sound (Park et al. 2019, arXiv 1904.08779).

    Parameters
    ----------
    mels, time : float
        Width of a mask at most, as a share of the axis; drawn uniformly from 0.
    masks : int
        Number of masks on each axis.
    """

    mels: float = knob(0.2, low=0, high=1)
    time: float = knob(0.2, low=0, high=1)
    masks: int = knob(1, low=1, high=16)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        for axis, most in ((1, self.mels), (2, self.time)):
            place = (torch.arange(x.shape[axis], device=x.device) + 0.5) / x.shape[axis]
            width = draws.uniform(0, most, self.masks, 1)
            start = draws.uniform(0, 1, self.masks, 1) * (1 - width)
            hidden = ((place >= start) & (place < start + width)).any(1)
            x = x.masked_fill(hidden.unsqueeze(3 - axis), 0)  # the mean of a standardised spectrogram
        return x
