from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.resample import as_float


@dataclass(frozen=True)
class Mixup:
    """The image with another row of the batch shining through (Zhang et al. 2017, arXiv 1710.09412).

    As a view the mixture belongs to its own row, so the other's share stays below one half; labels are not mixed.

    Parameters
    ----------
    share : (float, float)
        Weight of the other row, drawn uniformly; (0, 0.5) is the smaller part of Beta(1, 1).
    """

    share: tuple[float, float] = knob((0.0, 0.5), low=0, high=1)
    p: float = knob(1.0, low=0, high=1)
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        weight = draws.uniform(*self.share) * draws.bernoulli(self.p)
        return torch.lerp(images, donors(images, draws), weight[:, None, None, None])


def donors(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """For each image another row of the global batch as it is stored, at the size that `images` (N, C, H, W) have."""
    if draws.batch is None:
        raise ValueError("mixing rows needs the values of the global batch")
    other = as_float(draws.batch()[draws.others()])
    if other.shape[-2:] != images.shape[-2:]:
        other = F.interpolate(other, images.shape[-2:], mode="bilinear", antialias=True)
    return other
