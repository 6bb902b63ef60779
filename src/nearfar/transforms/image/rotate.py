"""Rotation by any angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.image.affine import Affine


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre by an angle of its own for each row; see `Turn` for quarter turns, which lose nothing.

    Parameters
    ----------
    degrees : float
        Angle in [−degrees, degrees], counter-clockwise where positive.
    p : float
        Probability per row.
    fill : {"reflection", "border", "zeros"}
        What lies outside of the image.
    """

    degrees: float = 15.0
    p: float = 1.0
    fill: str = "reflection"
    kind: ClassVar[str] = "geometry"

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        """From view to image coordinates, shape (N, 3, 3)."""
        return Affine(degrees=self.degrees, p=self.p).matrix(draws, geometry)
