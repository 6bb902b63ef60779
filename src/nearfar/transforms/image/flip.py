from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Flip:
    """Mirror left and right, or up and down where `vertical`. Not for digits, letters or other handed things."""

    p: float = knob(0.5, low=0, high=1)
    vertical: bool = False
    kind = "geometry"
    aligned = True

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        sign = 1 - 2 * draws.bernoulli(self.p).float()
        matrix = torch.eye(3, device=sign.device).repeat(len(draws), 1, 1)
        axis = 1 if self.vertical else 0
        matrix[:, axis, axis] = sign
        return matrix
