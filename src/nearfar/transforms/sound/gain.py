from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Gain:
    """The whole sound louder or quieter; says nothing where each spectrogram is normalised by itself.

    Parameters
    ----------
    decibels : float
        The change is drawn from [−decibels, decibels].
    """

    decibels: float = knob(6.0, low=0, high=60)
    kind = "waveform"

    def apply(self, waves: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        return waves * 10 ** (draws.uniform(-self.decibels, self.decibels, 1) / 20)
