from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.resample import FILLS

# Signs of the corners top left, top right, bottom right, bottom left in (x, y).
CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


@dataclass(frozen=True)
class Perspective:
    """Each corner of the image moves inward by a distance of its own, as if seen at a slant.

    Parameters
    ----------
    strength : float
        A corner moves along each axis by up to this share of half the side; torchvision's ``distortion_scale``,
        which draws whole pixels where this draws any number.
    """

    strength: float = 0.3
    p: float = knob(0.5, low=0, high=1)
    fill: str = knob("reflection", choices=FILLS)
    kind = "geometry"
    projective = True  # the third row of its matrix is not (0, 0, 1)

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        inward = draws.uniform(0, self.strength, 4, 2)
        on = draws.bernoulli(self.p)
        corners = torch.tensor(CORNERS).to(inward.device, non_blocking=True)
        return torch.where(on[:, None, None], homography(corners * (1 - inward)), torch.eye(3, device=inward.device))


def homography(corners: torch.Tensor) -> torch.Tensor:
    """The map that takes `corners` (N, 4, 2), in the order of `CORNERS`, to the corners of the square [−1, 1]².

    The map of a unit square to a quadrilateral in closed form (Heckbert 1989, *Fundamentals of Texture Mapping*,
    section 2.2.3), inverted; so no system is solved and no device waited for. Scaled to 1 at the view's centre.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.permute(1, 2, 0)
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    det = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det
    one = torch.ones_like(g)
    rows = (
        torch.stack((x1 - x0 + g * x1, x3 - x0 + h * x3, x0), 1),
        torch.stack((y1 - y0 + g * y1, y3 - y0 + h * y3, y0), 1),
        torch.stack((g, h, one), 1),
    )
    # The inverse up to a factor: its columns are the cross products of the rows.
    inverse = torch.stack([torch.linalg.cross(rows[(i + 1) % 3], rows[(i + 2) % 3]) for i in range(3)], 2)
    # From the unit square to [−1, 1]²: twice the first two lines, less the third.
    centred = torch.cat((2 * inverse[:, :2] - inverse[:, 2:], inverse[:, 2:]), 1)
    return centred / centred[:, 2:, 2:]
