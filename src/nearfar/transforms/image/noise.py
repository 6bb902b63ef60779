"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, of a strength drawn for each row from [0, sigma], with probability p."""

    sigma: float = 0.1
    p: float = 0.5
    kind: ClassVar[str] = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images or rows (N, ...) in, and out."""
        strength = draws.uniform(0, self.sigma) * draws.bernoulli(self.p)
        return images + strength.view(-1, *[1] * (images.dim() - 1)) * draws.normal(*images.shape[1:])
