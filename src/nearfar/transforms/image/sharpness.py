from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Sharpness:
    """Sharpen or soften by a factor drawn from [max(0, 1 − strength), 1 + strength].

    0 is smoothed, 1 the image, 2 sharpened.
    """

    strength: float = 0.9
    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        factor = draws.uniform(max(0.0, 1 - self.strength), 1 + self.strength)
        return sharpened(images, torch.where(draws.bernoulli(self.p), factor, torch.ones_like(factor)))


def sharpened(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) away from their smoothed selves by `factor` (N,); the outermost pixels stay as they are.

    Smoothed is with the weights 1 for each neighbour and 5 for the pixel, over 13, as Pillow's and torchvision's.
    """
    inner = images[:, :, 1:-1, 1:-1]
    smooth = F.avg_pool2d(images, 3, 1) * (9 / 13) + inner * (4 / 13)
    out = images.clone()
    out[:, :, 1:-1, 1:-1] = torch.lerp(smooth, inner, factor[:, None, None, None]).clamp_(0, 1)
    return out
