import math
from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.sound._axis import even, read_at


@dataclass(frozen=True)
class WarpTime:
    """One half of the sound slower and the other quicker, as the same word is spoken twice.

    Parameters
    ----------
    strength : float
        The pace at both ends is between 1 − strength and 1 + strength times the usual one, and in the middle usual.
    """

    strength: float = knob(0.4, low=0, high=1)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        time = even(x.shape[2], x.device)
        moved = draws.uniform(-self.strength, self.strength, 1) * torch.sin(math.pi * time) / math.pi
        return read_at(x, time + moved, 2)
