from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.resample import along_height, along_width


@dataclass(frozen=True)
class Blur:
    """Gaussian blur with a width of its own for each row (Chen et al. 2020, arXiv 2002.05709).

    Parameters
    ----------
    sigma : (float, float)
        Standard deviation in pixels at a side of 224; scaled with the view's side.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        sigma = draws.uniform(*self.sigma) * (images.shape[-1] / 224)
        on = draws.chosen(self.p)
        if not len(on):
            return images
        # One radius for all rows, from the largest sigma that can be drawn: what is drawn stays on the device.
        radius = max(1, int(3 * self.sigma[1] * images.shape[-1] / 224 + 0.5))
        radius = min(radius, images.shape[-1] - 1, images.shape[-2] - 1)
        return images.contiguous().index_copy_(0, on, gaussian(images, sigma[on], radius, on))


def gaussian(images: torch.Tensor, sigma: torch.Tensor, radius: int, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Blur images (N, C, H, W), or some `rows` (M,) of them, each by its own `sigma` (M,) in pixels.

    Edges are reflected, as torchvision's.
    """
    x = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (x / sigma[:, None].clamp(min=1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]

    def taps(side: int) -> tuple[torch.Tensor, torch.Tensor]:
        index = (torch.arange(side, device=images.device)[:, None] + x).abs()
        index = (side - 1) - (side - 1 - index).abs()
        return index.int().expand(len(kernel), -1, -1), kernel.expand(-1, side, -1)

    h, w = images.shape[-2:]
    return along_height(along_width(images, *taps(w), rows), *taps(h))
