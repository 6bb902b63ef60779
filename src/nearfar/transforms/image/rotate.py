from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.affine import Affine
from nearfar.transforms.image.resample import FILLS


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre by an angle of its own for each row; see `Turn` for quarter turns, which lose nothing."""

    degrees: float = 15.0
    p: float = knob(1.0, low=0, high=1)
    fill: str = knob("reflection", choices=FILLS)
    kind = "geometry"

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        return Affine(degrees=self.degrees, p=self.p).matrix(draws, geometry)
