"""Greyscale as one matrix per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.image.jitter import constants, identity


@dataclass(frozen=True)
class Greyscale:
    """Luma in all channels, with probability p."""

    p: float = 0.2
    kind: ClassVar[str] = "colour"
    channels: ClassVar[tuple[int, ...]] = (3,)  # numbers of channels that it makes sense for

    def matrix(self, draws: Draws, mean: torch.Tensor) -> torch.Tensor:
        """Colour matrix (N, C, C + 1)."""
        channels = mean.shape[1]
        matrix = identity(mean)
        if channels == 3:
            grey = constants(mean.device)[0].expand(3, 3)
            on = draws.bernoulli(self.p)[:, None, None]
            matrix[:, :, :3] = torch.where(on, grey, matrix[:, :, :3])
        return matrix
