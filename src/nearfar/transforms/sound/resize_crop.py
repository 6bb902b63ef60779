from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws, check_range
from nearfar.transforms.sound._axis import even, read_at


@dataclass(frozen=True)
class ResizeCrop:
    """A part of the time and of the mels, stretched over the whole view (BYOL-A: Niizumi et al. 2021, 2103.06695).

    Parameters
    ----------
    mels, time : (float, float)
        Shares of the axes, drawn uniformly; above 1 the part reaches beyond the sound, whose last values stand there.
    """

    mels: tuple[float, float] = (0.6, 1.5)
    time: tuple[float, float] = (0.6, 1.5)
    kind = "spectrogram"

    def __post_init__(self) -> None:
        check_range("resize_crop.mels", self.mels, most=4)
        check_range("resize_crop.time", self.time, most=4)

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        for axis, span in ((1, self.mels), (2, self.time)):
            share = draws.uniform(*span, 1)
            x = read_at(x, draws.uniform(0, 1, 1) * (1 - share) + share * even(x.shape[axis], x.device), axis)
        return x
