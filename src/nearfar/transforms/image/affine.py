import math
from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range
from nearfar.transforms.image.resample import FILLS


@dataclass(frozen=True)
class Affine:
    """Turn, resize, shear and move; every number is drawn uniformly and apart for each row.

    Parameters
    ----------
    scale : (float, float)
        Size of the content, 1 being unchanged.
    shear : float
        Horizontal shear in [−shear, shear] degrees.
    shift : float
        Move along each axis, in [−shift, shift] of the side.
    """

    degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    shift: float = 0.0
    p: float = knob(1.0, low=0, high=1)
    fill: str = knob("reflection", choices=FILLS)
    kind = "geometry"

    def __post_init__(self) -> None:
        check_range("affine.scale", self.scale)

    @property
    def shrinks(self) -> bool:
        return min(self.scale) < 1

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        angle = draws.uniform(-self.degrees, self.degrees) * (math.pi / 180)
        size = draws.uniform(*self.scale)
        slant = (draws.uniform(-self.shear, self.shear) * (math.pi / 180)).tan()
        shift = draws.uniform(-2 * self.shift, 2 * self.shift, 2)
        on = draws.bernoulli(self.p)
        cos, sin = angle.cos() / size, angle.sin() / size
        # Rotation is meant in pixels of the original: undo the squeeze to a square around it.
        aspect = torch.ones_like(cos) if geometry is None else (geometry[:, 1] / geometry[:, 0]).to(cos)
        a, b = cos, sin / aspect
        c, d = -sin * aspect, cos
        b, d = b - a * slant / aspect, d - c * slant / aspect
        matrix = torch.eye(3, device=cos.device).repeat(len(draws), 1, 1)
        linear = torch.stack((a, b, c, d), 1).view(-1, 2, 2)
        matrix[:, :2, :2] = linear
        matrix[:, :2, 2] = -(linear @ shift[:, :, None])[:, :, 0]
        return torch.where(on[:, None, None], matrix, torch.eye(3, device=cos.device))
