"""A plain network for numeric rows."""

from __future__ import annotations

import torch
from torch import nn

MODALITIES = ("vector",)
BESIDE: dict[str, object] = {}
SUMMARY = "fully connected network for numeric rows"


class Mlp(nn.Module):
    """Linear layers with batch norm and ReLU."""

    def __init__(self, features: int, width: int, layers: int, out: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = features
        for _ in range(layers - 1):
            parts += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
            before = width
        self.layers = nn.Sequential(*parts, nn.Linear(before, out))
        self.out_features = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (N, F) to features (N, D)."""
        return self.layers(x)


def build(*, features: int, width: int = 256, layers: int = 4, out: int = 256) -> Mlp:
    """The network for rows of so many features (SCARF, arXiv 2106.15147: four layers of 256)."""
    return Mlp(features, width, layers, out)
