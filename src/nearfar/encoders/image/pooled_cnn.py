"""The default on a processor from 32 pixels on: every stage pools right after its first, widening convolution."""

import torch
import torch.nn.functional as F
from torch import nn

MODALITIES = ("image", "sound")
RATES = {"simclr": 4e-3}  # chosen on held-out training rows (docs/results/pictures.md)


class Stage(nn.Module):
    """Convolution, pooling, then a residual convolution on the smaller side; norms only see what pooling left."""

    def __init__(self, inputs: int, width: int, pool: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            nn.Conv2d(inputs, width, 3, 1, 1, bias=False), nn.MaxPool2d(pool), nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )  # fmt: skip
        self.refine = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.widen(x)
        return torch.relu(x + self.refine(x))


class PooledCnn(nn.Module):
    """A stem of overlapping patches, the stages, then means over positions: D = ``widths[-1] * grid**2``.

    The shape follows cifar10-airbench (Jordan 2024, arXiv 2404.00498): a stem of 2×2 patches with `first` channels
    that keeps the side, and pooling before the norm.
    """

    def __init__(
        self, *, channels: int, size: int, first: int = 24, widths: tuple[int, ...] = (64, 128, 256), grid: int = 1
    ) -> None:
        super().__init__()
        # The stem divides sides of 64 and more: 32, 64, 96 and 128 all leave it with a side of 31.
        stride = max(1, size // 32)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, first, 2 * stride, stride, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        before, side, stages = first, size // stride - 1, []
        for width in widths:
            pool = 2 if side > 3 else 1
            stages.append(Stage(before, width, pool))
            before, side = width, side // pool
        self.stages = nn.Sequential(*stages)
        self.grid, self.out_features = grid, widths[-1] * grid**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(self.stages(self.stem(x)), self.grid).flatten(1)


build = PooledCnn
