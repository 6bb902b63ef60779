from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.erase import rectangle


@dataclass(frozen=True)
class Cutout:
    """A grey square hides part of the image (DeVries, Taylor 2017, arXiv 1708.04552).

    Parameters
    ----------
    share : float
        Side of the square as a share of the image's. Its centre is anywhere, so it may reach beyond the edge.
    value : float
        What it is filled with; 0.5 is zero as the encoder sees it.
    """

    share: float = knob(0.5, low=0, high=1)
    p: float = knob(1.0, low=0, high=1)
    value: float = 0.5
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        h, w = images.shape[-2:]
        centre = draws.uniform(0, 1, 2)
        on = draws.bernoulli(self.p)
        left, top = (centre - self.share / 2).unbind(1)
        hole = rectangle(images, left * w, top * h, *(torch.full_like(left, self.share * side) for side in (w, h)))
        return images.masked_fill(hole & on[:, None, None, None], self.value)
