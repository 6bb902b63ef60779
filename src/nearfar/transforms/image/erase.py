from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range


@dataclass(frozen=True)
class Erase:
    """Replace a rectangle by the image's mean colour (Zhong et al. 2017, arXiv 1708.04896).

    Parameters
    ----------
    scale : (float, float)
        Share of the area.
    ratio : (float, float)
        Width by height.
    """

    scale: tuple[float, float] = (0.02, 0.2)
    ratio: tuple[float, float] = (0.3, 3.3)
    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"

    def __post_init__(self) -> None:
        check_range("erase.scale", self.scale, least=0, most=1)
        check_range("erase.ratio", self.ratio)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        h, w = images.shape[-2:]
        area, ratio = draws.uniform(*self.scale), draws.log_uniform(*self.ratio)
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
