"""Any other image encoder on patches: ``patches:pooled_cnn`` gives the mean of the features of a grid of them."""

from __future__ import annotations

import torch
from torch import nn

from nearfar.core.registry import ENCODERS

MODALITIES = ("image",)
MOST = 64  # patches along an axis
SUMMARY = "another encoder, as patches:NAME, on a grid of patches whose features are averaged"


class Patches(nn.Module):
    """The mean of an encoder's features over `grid` × `grid` overlapping patches (Tong et al. 2023, arXiv 2304.03977).

    What is no larger than a patch, as the views of the recipe ``emp_small`` are, goes through the encoder as it is.

    Parameters
    ----------
    encoder : nn.Module
        Takes (N, C, P, P).
    side : int
        P of a patch in pixels.
    grid : int
        Patches along each axis, evenly spread; 0: the whole picture at once, whatever its size.
    """

    def __init__(self, encoder: nn.Module, side: int, grid: int) -> None:
        super().__init__()
        self.encoder, self.side, self.grid = encoder, side, grid
        self.out_features = encoder.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) to features (N, D)."""
        room = x.shape[-1] - self.side
        if self.grid == 0 or room <= 0:
            return self.encoder(x)
        edges = [round(room * i / max(1, self.grid - 1)) if self.grid > 1 else room // 2 for i in range(self.grid)]
        patches = [x[:, :, a : a + self.side, b : b + self.side] for a in edges for b in edges]
        features = self.encoder(torch.cat(patches))
        return features.unflatten(0, (len(patches), len(x))).mean(0)


def build(
    *, channels: int, size: int, name: str = "pooled_cnn", share: float = 0.5, grid: int = 3, **options: object
) -> Patches:
    """The encoder called `name` on patches of this share of the side.

    Raises
    ------
    ValueError
        A patch would have no pixels, or `grid` is negative or larger than `MOST`.
    """
    side = round(size * share)
    if not 0 < side <= size or not 0 <= grid <= MOST:
        raise ValueError(f"patches of {side} of {size} pixels in a grid of {grid} cannot be")
    return Patches(ENCODERS.get(name).build(channels=channels, size=side, **options), side, grid)
