from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.sound._axis import even, read_at


@dataclass(frozen=True)
class WarpMel:
    """Formants higher or lower, as of a shorter or longer vocal tract (Jaitly and Hinton 2013, ICML workshop WDLASL).

    Parameters
    ----------
    strength : float
        Mels are multiplied by a factor from 1 − strength to 1 + strength; beyond the highest that stands.
    """

    strength: float = knob(0.25, low=0, high=0.9)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws) -> torch.Tensor:
        factor = draws.uniform(1 - self.strength, 1 + self.strength, 1)
        return read_at(x, even(x.shape[1], x.device) * factor, 1)
