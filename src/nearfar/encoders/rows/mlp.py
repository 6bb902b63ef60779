"""Fully connected network for numeric rows."""

import torch
from torch import nn

MODALITIES = ("vector",)
BESIDE: dict[str, object] = {}


class Mlp(nn.Module):
    """Linear layers with batch norm and ReLU; four of 256 as in SCARF (Bahri et al. 2021, arXiv 2106.15147)."""

    def __init__(self, *, features: int, width: int = 256, layers: int = 4, out: int = 256) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = features
        for _ in range(layers - 1):
            parts += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
            before = width
        self.layers = nn.Sequential(*parts, nn.Linear(before, out))
        self.out_features = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


build = Mlp
