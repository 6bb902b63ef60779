from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws, check_range
from nearfar.transforms.sound._axis import even, read_at


@dataclass(frozen=True)
class CropTime:
    """A part of the sound, stretched over the whole view.

    Parameters
    ----------
    share : (float, float)
        Of the sound's duration, drawn uniformly.
    """

    share: tuple[float, float] = (0.8, 1.0)
    kind = "spectrogram"

    def __post_init__(self) -> None:
        check_range("crop_time.share", self.share, most=1)

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        share = draws.uniform(*self.share, 1)
        start = draws.uniform(0, 1, 1) * (1 - share)
        return read_at(x, start + share * even(x.shape[2], x.device), 2)
