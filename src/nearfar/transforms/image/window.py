"""A fixed part of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Window:
    """The square that begins at (`top`, `left`) and has this share of the side: a place of a grid, the same always.

    Parameters
    ----------
    top, left : float
        Its corner, as shares of the image's side.
    share : float
        Its side, as a share of the image's.

    Raises
    ------
    ValueError
        It does not lie inside the image.
    """

    top: float = 0.0
    left: float = 0.0
    share: float = 0.5
    kind: ClassVar[str] = "geometry"
    aligned: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 < self.share <= 1 and min(self.top, self.left) >= 0 and max(self.top, self.left) + self.share <= 1):
            raise ValueError(f"window: a square inside the image is needed, not {self}")

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        """From view to image coordinates, shape (N, 3, 3)."""
        centre = [2 * edge + self.share - 1 for edge in (self.left, self.top)]
        rows = [[self.share, 0, centre[0]], [0, self.share, centre[1]], [0, 0, 1]]
        return torch.tensor(rows, device=draws.device).expand(len(draws), 3, 3)
