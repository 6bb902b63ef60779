"""Another encoder, as ``patches:pooled_cnn``, on a grid of patches whose features are averaged."""

import torch
from torch import nn

from nearfar.core.registry import ENCODERS

MODALITIES = ("image", "sound")
MOST = 64  # patches along an axis


class Patches(nn.Module):
    """The mean of an encoder's features over overlapping patches (Tong et al. 2023, arXiv 2304.03977).

    What is no larger than a patch, as the views of the recipe ``emp_small`` are, goes through the encoder as it is.

    Parameters
    ----------
    name : str
        The encoder, which gets all further options.
    share : float
        Side of a patch as a share of the picture's.
    grid : int
        Patches along each axis, evenly apart; 0: the whole picture at once, whatever its size.
    """

    def __init__(
        self, *, channels: int, size: int, name: str = "pooled_cnn", share: float = 0.5, grid: int = 3,
        **options: object,
    ) -> None:  # fmt: skip
        super().__init__()
        self.side, self.grid = round(size * share), grid
        if not 0 < self.side <= size or not 0 <= grid <= MOST:
            raise ValueError(f"patches of {self.side} of {size} pixels in a grid of {grid} are impossible")
        self.encoder = ENCODERS.get(name).build(channels=channels, size=self.side, **options)
        self.out_features = self.encoder.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = x.shape[-1] - self.side
        if self.grid == 0 or margin <= 0:
            return self.encoder(x)
        edges = [round(margin * i / max(1, self.grid - 1)) if self.grid > 1 else margin // 2 for i in range(self.grid)]
        patches = [x[:, :, a : a + self.side, b : b + self.side] for a in edges for b in edges]
        return self.encoder(torch.cat(patches)).unflatten(0, (len(patches), len(x))).mean(0)


build = Patches
