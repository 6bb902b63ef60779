"""The default on a processor: a residual network of four widths that spends its time where processors are fast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

MODALITIES = ("image",)
RATES = {"simclr": 4e-3}  # chosen on held-out training rows (docs/results/pictures.md)
SUMMARY = "residual CNN for pictures of 8 to 128 pixels, quick on a processor"


class Block(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        same = inputs == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),  # odd sides as the convolutions do
            nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, width, H/stride, W/stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


class SmallCnn(nn.Module):
    """Stem, then blocks that halve the side and widen, then the means over positions of `grid` × `grid` parts."""

    def __init__(
        self, channels: int, widths: tuple[int, ...], stem_stride: int, shrink: tuple[bool, ...], grid: int
    ) -> None:
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, first, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        before = (first, *widths)
        self.blocks = nn.Sequential(
            *(Block(a, b, 2 if s else 1) for a, b, s in zip(before, widths, shrink, strict=False))
        )
        self.grid, self.out_features = grid, widths[-1] * grid**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) to features (N, D)."""
        return F.adaptive_avg_pool2d(self.blocks(self.stem(x)), self.grid).flatten(1)


def build(*, channels: int, size: int, widths: tuple[int, ...] = (48, 96, 192, 512), grid: int = 1) -> SmallCnn:
    """The network for images of `channels` and side `size`, with D = ``widths[-1] * grid**2``: a mean for each place.

    From 32 pixels on the stem already halves the side: three quarters of the time of a first stage at full size
    buy little. Sides of 64 and more are halved once more for every doubling.
    """
    widths = tuple(widths)
    stem = 1 if size < 24 else 2
    side = size // stem
    shrink = []
    for i in range(len(widths)):
        halve = side > 4 and (i > 0 or side > 16)
        shrink.append(halve)
        side = side // 2 if halve else side
    return SmallCnn(channels, widths, stem, tuple(shrink), grid)
