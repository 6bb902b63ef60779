from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.resample import FILLS


@dataclass(frozen=True)
class Shift:
    """Pad and cut the image's size out again, as the crop of the CIFAR recipes: a move by whole steps.

    He et al. 2015, arXiv 1512.03385, section 4.2.

    Parameters
    ----------
    share : float
        Furthest move along each axis, as a share of the side; 4 pixels of 32 by default.
    steps : int
        Steps from the middle to the furthest move. With a side of 8 × `steps` a default step is one pixel, and
        no pixel is interpolated where the step is a whole number of them.
    """

    share: float = knob(0.125, low=0, high=1)
    steps: int = 4
    fill: str = knob("zeros", choices=FILLS)
    kind = "geometry"
    aligned = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"shift.steps: expected at least 1, got {self.steps}")

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        moved = draws.integers(-self.steps, self.steps + 1, 2)
        matrix = torch.eye(3, device=moved.device).repeat(len(draws), 1, 1)
        matrix[:, :2, 2] = moved * (2 * self.share / self.steps)
        return matrix
