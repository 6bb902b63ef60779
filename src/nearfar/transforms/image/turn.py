import math
from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Turn:
    """None, one, two or three quarter turns counter-clockwise, each as likely as the others.

    For what has no up and down: satellite pictures, cells, textures. No pixel is lost or interpolated. A picture that
    is stored squeezed to a square is turned as that square, which is what turning it first and squeezing it then gives.
    """

    p: float = knob(1.0, low=0, high=1)
    kind = "geometry"

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        angle = draws.integers(0, 4) * draws.bernoulli(self.p) * (math.pi / 2)
        cos, sin = angle.cos().round(), angle.sin().round()
        matrix = torch.eye(3, device=cos.device).repeat(len(draws), 1, 1)
        matrix[:, :2, :2] = torch.stack((cos, -sin, sin, cos), 1).view(-1, 2, 2)
        return matrix
