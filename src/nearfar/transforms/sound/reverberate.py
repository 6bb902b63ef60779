from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range

LONGEST = 0.3  # seconds of an impulse


@dataclass(frozen=True)
class Reverberate:
    """The sound in a room: each row is folded with an impulse of its own, noise that fades away.

    Parameters
    ----------
    seconds : (float, float)
        Time in which the impulse fades by 60 decibels, drawn uniformly.
    share : float
        Energy of the echoes beside that of the sound, at most; drawn uniformly from 0.
    """

    seconds: tuple[float, float] = (0.05, 0.3)
    share: float = knob(0.5, low=0, high=4)
    p: float = knob(0.5, low=0, high=1)
    kind = "waveform"

    def __post_init__(self) -> None:
        check_range("reverberate.seconds", self.seconds, most=10)

    def apply(self, waves: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        time = torch.arange(1, max(2, int(LONGEST * rate)), device=waves.device) / rate
        echo = draws.normal(len(time)) * 10 ** (-3 * time / draws.uniform(*self.seconds, 1))
        energy = draws.uniform(0, self.share, 1) * draws.bernoulli(self.p, 1)
        echo = echo * (energy / echo.square().sum(1, keepdim=True).clamp(min=1e-12)).sqrt()
        size = waves.shape[1] + len(time)
        folded = torch.fft.irfft(torch.fft.rfft(waves, size) * torch.fft.rfft(echo, size), size)
        # an echo comes a sample later at least; what rings on after the sound is cut, so that lengths stay
        return waves + (waves != 0) * torch.nn.functional.pad(folded, (1, 0))[:, : waves.shape[1]]
