"""Random erasing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms import _spans
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Erase:
    """Replace a rectangle by the image's mean colour (Zhong et al. 2017, arXiv 1708.04896).

    Parameters
    ----------
    scale : (float, float)
        Share of the area.
    ratio : (float, float)
        Width by height.
    p : float
        Probability per row.
    """

    scale: tuple[float, float] = (0.02, 0.2)
    ratio: tuple[float, float] = (0.3, 3.3)
    p: float = 0.5
    kind: ClassVar[str] = "pixels"

    def __post_init__(self) -> None:
        _spans.check("erase.scale", self.scale, least=0, most=1)
        _spans.check("erase.ratio", self.ratio)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images (N, C, H, W) in, and out."""
        h, w = images.shape[-2:]
        area = draws.uniform(*self.scale)
        ratio = draws.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])).exp()
        width, height = (area * ratio).sqrt().clamp(max=1) * w, (area / ratio).sqrt().clamp(max=1) * h
        left, top = draws.uniform(0, 1) * (w - width), draws.uniform(0, 1) * (h - height)
        on = draws.bernoulli(self.p)
        hole = rectangle(images, left, top, width, height) & on[:, None, None, None]
        return torch.where(hole, images.mean((2, 3), keepdim=True), images)


def rectangle(
    images: torch.Tensor, left: torch.Tensor, top: torch.Tensor, width: torch.Tensor, height: torch.Tensor
) -> torch.Tensor:
    """True for pixels whose centre is in a rectangle given in pixels, each (N,); shape (N, 1, H, W)."""
    h, w = images.shape[-2:]
    x, y = torch.arange(w, device=images.device) + 0.5, torch.arange(h, device=images.device) + 0.5
    inside_x = (x >= left[:, None]) & (x < (left + width)[:, None])
    inside_y = (y >= top[:, None]) & (y < (top + height)[:, None])
    return (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
