from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range


@dataclass(frozen=True)
class AddNoise:
    """White noise over the sound.

    Parameters
    ----------
    decibels : (float, float)
        How much louder the sound is than the noise (signal-to-noise ratio), drawn uniformly.
    """

    decibels: tuple[float, float] = (10.0, 40.0)
    p: float = knob(0.5, low=0, high=1)
    kind = "waveform"

    def __post_init__(self) -> None:
        check_range("add_noise.decibels", self.decibels, least=0)

    def apply(self, waves: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        there = waves != 0  # what follows a sound is no part of it
        power = waves.square().sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)
        weaker = 10 ** (-draws.uniform(*self.decibels, 1) / 10) * draws.bernoulli(self.p, 1)
        return waves + there * (power * weaker).sqrt() * draws.normal(waves.shape[1])
