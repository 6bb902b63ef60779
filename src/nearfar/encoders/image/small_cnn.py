"""The default on a processor below 32 pixels: a residual network of four widths, for pictures of 8 to 128 pixels."""

import torch
import torch.nn.functional as F
from torch import nn

MODALITIES = ("image", "sound")
RATES = {"simclr": 4e-3}  # chosen on held-out training rows (docs/results/pictures.md)


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
        return torch.relu(self.body(x) + self.shortcut(x))


class SmallCnn(nn.Module):
    """Stem, then blocks that halve the side and widen, then means over positions: D = ``widths[-1] * grid**2``."""

    def __init__(
        self, *, channels: int, size: int, widths: tuple[int, ...] = (48, 96, 192, 512), grid: int = 1
    ) -> None:
        super().__init__()
        # From 32 pixels on the stem already halves the side: three quarters of the time of a first stage at full size
        # buy little. Sides of 64 and more are halved once more for every doubling.
        before, stem = widths[0], 1 if size < 24 else 2
        self.stem = nn.Sequential(
            nn.Conv2d(channels, before, 3, stem, 1, bias=False), nn.BatchNorm2d(before), nn.ReLU(inplace=True)
        )
        side, blocks = size // stem, []
        for i, width in enumerate(widths):
            halve = side > 4 and (i > 0 or side > 16)
            blocks.append(Block(before, width, 2 if halve else 1))
            before, side = width, side // 2 if halve else side
        self.blocks = nn.Sequential(*blocks)
        self.grid, self.out_features = grid, before * grid**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(self.blocks(self.stem(x)), self.grid).flatten(1)


build = SmallCnn
