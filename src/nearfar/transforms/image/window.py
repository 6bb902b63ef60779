from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Window:
    """The square that begins at (`top`, `left`) and has this share of the side: a place of a grid, the same always.

    All are shares of the image's side; the square lies inside the image.
    """

    top: float = 0.0
    left: float = 0.0
    share: float = knob(0.5, low=0, high=1)
    kind = "geometry"
    aligned = True

    def __post_init__(self) -> None:
        if not (0 < self.share <= 1 and min(self.top, self.left) >= 0 and max(self.top, self.left) + self.share <= 1):
            raise ValueError(f"window: a square inside the image is needed, not {self}")

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        centre = [2 * edge + self.share - 1 for edge in (self.left, self.top)]
        rows = [[self.share, 0, centre[0]], [0, self.share, centre[1]], [0, 0, 1]]
        return torch.tensor(rows, device=draws.device).expand(len(draws), 3, 3)
