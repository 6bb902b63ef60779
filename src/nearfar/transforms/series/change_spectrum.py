from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class ChangeSpectrum:
    """Take frequencies away and strengthen others (TF-C: Zhang et al. 2022, arXiv 2206.08496).

    Missing numbers count as 0, the mean, for the transform, and stay missing.

    Parameters
    ----------
    removed : float
        Share of the frequencies whose amplitude becomes 0.
    added : float
        Share of the frequencies whose amplitude becomes a random part, up to a tenth, of the largest one.
    """

    removed: float = knob(0.1, low=0, high=1)
    added: float = knob(0.1, low=0, high=1)
    kind = "series"

    def apply(self, series: torch.Tensor, draws: Draws) -> torch.Tensor:
        missing = series.isnan()
        spectrum = torch.fft.rfft(series.masked_fill(missing, 0.0), dim=2)
        size = spectrum.abs()
        kept = ~draws.bernoulli(self.removed, *spectrum.shape[1:])
        least = draws.bernoulli(self.added, *spectrum.shape[1:]) * draws.uniform(0, 0.1, *spectrum.shape[1:])
        wanted = torch.maximum(size * kept, least * size.amax(2, keepdim=True))
        phase = torch.polar(torch.ones_like(size), spectrum.angle())
        changed = torch.fft.irfft(wanted * phase, series.shape[2], dim=2)
        return changed.masked_fill(missing, torch.nan)
