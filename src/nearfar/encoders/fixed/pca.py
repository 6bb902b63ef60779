"""Principal components of rows or of contrast-normalised pixels, computed, not trained."""

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.fixed._svd import leading

MODALITIES = ("image", "sound", "vector")
SIDE = 32  # pixels that larger pictures are brought to
ROWS, NUMBERS = 5_000, 2**26  # that the components are computed from, at most: 256 MB


class Pca(nn.Module):
    """The projection of centred inputs onto their leading principal components (Pearson 1901). Nothing is trained.

    Pictures are brought to 32 pixels, then the mean of each is taken away and its standard deviation made 1.
    """

    def __init__(self, *, features: int = 0, channels: int = 0, size: int = 0, dim: int = 256) -> None:
        super().__init__()
        self.side = min(size, SIDE) if size else None
        numbers = channels * size**2 if size else features
        features = channels * self.side**2 if self.side else features
        self.setup_rows, self.out_features = max(2 * dim, min(ROWS, NUMBERS // numbers)), min(dim, features)
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
        x = self.inputs(x)
        self.mean.copy_(x.mean(0))
        self.components.copy_(torch.from_numpy(leading((x - x.mean(0)).cpu().numpy(), self.out_features)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return (self.inputs(x) - self.mean) @ self.components


build = Pca
