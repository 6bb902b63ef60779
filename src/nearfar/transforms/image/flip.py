"""Mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Flip:
    """Mirror left and right (or up and down) with probability p. Not for digits, letters or other handed things."""

    p: float = 0.5
    vertical: bool = False
    kind: ClassVar[str] = "geometry"
    aligned: ClassVar[bool] = True  # only stretches, mirrors and moves

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        """From view to image coordinates, shape (N, 3, 3)."""
        sign = 1 - 2 * draws.bernoulli(self.p).float()
        matrix = torch.eye(3, device=sign.device).repeat(len(draws), 1, 1)
        axis = 1 if self.vertical else 0
        matrix[:, axis, axis] = sign
        return matrix
