from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Equalise:
    """Make all 256 levels of each channel about equally frequent, as Pillow and torchvision do."""

    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"
    channels = (1, 3)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        on = draws.chosen(self.p)
        return images.index_copy_(0, on, equalised(images[on]))


def equalised(images: torch.Tensor) -> torch.Tensor:
    """Each channel of each image (N, C, H, W) through its own table; values are rounded to 256 levels first."""
    n, c = images.shape[:2]
    levels = (images * 255).round().clamp(0, 255).long().flatten(0, 1).flatten(1)  # (N·C, H·W)
    count = levels.new_zeros(n * c, 256).scatter_add_(1, levels, torch.ones_like(levels))
    brightest = count.gather(1, levels.amax(1, keepdim=True))
    step = (levels.shape[1] - brightest) // 255
    before = count.cumsum(1) - count
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    # Too few pixels below the brightest level to equalise: the channel stays.
    out = torch.where(step > 0, table.gather(1, levels), levels)
    return (out / 255).view_as(images)
