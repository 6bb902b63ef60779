"""Gaussian blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Blur:
    """Gaussian blur with a width of its own for each row (Chen et al. 2020, arXiv 2002.05709).

    Parameters
    ----------
    sigma : (float, float)
        Standard deviation in pixels at a side of 224; scaled with the view's side.
    p : float
        Probability per row.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = 0.5
    kind: ClassVar[str] = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images (N, C, H, W) in, and out."""
        sigma = draws.uniform(*self.sigma) * (images.shape[-1] / 224)
        on = draws.bernoulli(self.p).nonzero()[:, 0]
        if not len(on):
            return images
        radius = max(1, int(3 * self.sigma[1] * images.shape[-1] / 224 + 0.5))
        radius = min(radius, images.shape[-1] - 1, images.shape[-2] - 1)
        out = images.clone()
        out[on] = gaussian(images[on], sigma[on], radius)
        return out


def gaussian(images: torch.Tensor, sigma: torch.Tensor, radius: int) -> torch.Tensor:
    """Blur each image (N, C, H, W) by its own `sigma` (N,) in pixels; edges are reflected."""
    n, c, h, w = images.shape
    x = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (x / sigma[:, None].clamp(min=1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    flat = images.reshape(1, n * c, h, w)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), "reflect"), kernel[:, None, None, :], groups=n * c)
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), "reflect"), kernel[:, None, :, None], groups=n * c)
    return flat.view(n, c, h, w)
