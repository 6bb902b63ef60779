"""Solarise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Solarise:
    """Invert what is brighter than `threshold`, with probability p (Grill et al. 2020, arXiv 2006.07733)."""

    threshold: float = 0.5
    p: float = 0.2
    kind: ClassVar[str] = "pixels"
    channels: ClassVar[tuple[int, ...]] = (1, 3)  # numbers of channels that it makes sense for

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images (N, C, H, W) in [0, 1] in, and out."""
        on = draws.bernoulli(self.p)[:, None, None, None]
        return torch.where(on & (images >= self.threshold), 1 - images, images)
