from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Tilt:
    """High frequencies louder or quieter than low ones, as of another voice, microphone or distance.

    Parameters
    ----------
    strength : float
        What is added at the highest mel and taken away at the lowest is drawn from [−strength, strength], in standard
        deviations of the spectrogram; linear in between.
    """

    strength: float = knob(0.8, low=0)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        slope = torch.linspace(-1, 1, x.shape[1], device=x.device)[:, None]
        return x + draws.uniform(-self.strength, self.strength, 1, 1) * slope
