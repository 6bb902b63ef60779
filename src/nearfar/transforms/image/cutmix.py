from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.image.erase import rectangle
from nearfar.transforms.image.mixup import donors


@dataclass(frozen=True)
class Cutmix:
    """A rectangle of the image is another row's (Yun et al. 2019, arXiv 1905.04899).

    As a view the mixture belongs to its own row, so the other's share stays below one half; labels are not mixed. The
    rectangle has the image's proportions, as in the paper, but always lies inside, so its area is what was drawn.

    Parameters
    ----------
    share : (float, float)
        Area of the other row's part, drawn uniformly.
    """

    share: tuple[float, float] = knob((0.0, 0.5), low=0, high=1)
    p: float = knob(1.0, low=0, high=1)
    kind = "pixels"

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        h, w = images.shape[-2:]
        side = draws.uniform(*self.share).sqrt()
        left, top = (draws.uniform(0, 1, 2) * (1 - side[:, None])).unbind(1)
        on = draws.bernoulli(self.p)[:, None, None, None]
        part = rectangle(images, left * w, top * h, side * w, side * h) & on
        return torch.where(part, donors(images, draws), images)
