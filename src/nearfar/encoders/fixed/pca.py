"""Principal components of the training rows, or of the small, contrast-normalised training pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.fixed._svd import leading

MODALITIES = ("image", "vector")
SUMMARY = "principal components of rows or of contrast-normalised pixels; computed, not trained"
SIDE = 32  # pixels that larger pictures are brought to
ROWS, NUMBERS = 5_000, 2**26  # that the components are computed from, at most: 256 MB


class Pca(nn.Module):
    """The projection of centred inputs onto their leading principal components (Pearson 1901). Nothing is trained.

    Parameters
    ----------
    features : int
        Numbers of an input, of a picture those at the side `side`.
    dim : int
        Components; no more than `features`.
    side : int or None
        Of pictures: what they are brought to, before the mean of each is taken away and its standard deviation made 1.
    numbers : int
        Of an input as it comes.
    """

    def __init__(self, features: int, dim: int, side: int | None, numbers: int) -> None:
        super().__init__()
        self.setup_rows = max(2 * dim, min(ROWS, NUMBERS // numbers))
        self.side, self.out_features = side, min(dim, features)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("components", torch.zeros(features, self.out_features))

    def inputs(self, x: torch.Tensor) -> torch.Tensor:
        """What is projected, float32 (N, features)."""
        x = x.float()
        if self.side is None:
            return x
        if x.shape[-1] != self.side:
            x = F.interpolate(x, (self.side, self.side), mode="area")
        x = x.flatten(1)
        x = x - x.mean(1, keepdim=True)
        return x / x.std(1, keepdim=True).clamp(min=1e-6)

    @torch.no_grad()
    def setup(self, x: torch.Tensor) -> None:
        """Compute mean and components of these inputs."""
        x = self.inputs(x)
        self.mean.copy_(x.mean(0))
        found = leading((x - x.mean(0)).cpu().numpy(), self.out_features)
        self.components.copy_(torch.from_numpy(found))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (N, F) or pictures (N, C, S, S) to features (N, D)."""
        with torch.autocast(x.device.type, enabled=False):
            return (self.inputs(x) - self.mean) @ self.components


def build(*, features: int = 0, channels: int = 0, size: int = 0, dim: int = 256) -> Pca:
    """The projection of rows of `features` numbers, or of pictures of `channels` and `size`."""
    side = min(size, SIDE) if size else None
    numbers = channels * size**2 if size else features
    return Pca(channels * side**2 if side else features, dim, side, numbers)
