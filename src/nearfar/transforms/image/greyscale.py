from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.jitter import constants, identity


@dataclass(frozen=True)
class Greyscale:
    """Luma in all channels."""

    p: float = knob(0.2, low=0, high=1)
    kind = "colour"
    channels = (3,)

    def matrix(self, draws: Draws, mean: torch.Tensor) -> torch.Tensor:
        matrix = identity(mean)
        if mean.shape[1] == 3:
            grey = constants(mean.device)[0].expand(3, 3)
            on = draws.bernoulli(self.p)[:, None, None]
            matrix[:, :, :3] = torch.where(on, grey, matrix[:, :, :3])
        return matrix
