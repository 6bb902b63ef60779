"""A transformer over patches of a series; for long ones, and for what depends on far ends of them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.series.steps import OverTime, from_start, turned

MODALITIES = ("series",)


class PatchTransformer(OverTime):
    """Patches of a few steps as the tokens of a transformer (PatchTST: Nie et al. 2023, arXiv 2211.14730).

    Other than there, channels are read together. A step's state is that of its patch; features are the mean and the
    maximum over the steps: D = 2 `out`.

    Parameters
    ----------
    out : int
        Numbers of a state: the transformer's width, a multiple of `heads`.
    patch : int, optional
        Steps of a patch; by default a sixteenth of `length`, between 1 and 16.
    heads : int
        Of attention.
    missing : bool
        Whether steps may be missing: then a further channel for each says where something was measured.
    """

    def __init__(
        self, *, channels: int, length: int, missing: bool = False, out: int = 128, layers: int = 2,
        patch: int | None = None, heads: int = 4, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(channels, out, missing)
        if out % heads or out % 2:
            raise ValueError(f"out: expected an even multiple of the {heads} heads, got {out}")
        self.patch = patch or max(1, min(16, length // 16))
        self.enter = nn.Linear(self.inputs * self.patch, out)
        layer = nn.TransformerEncoderLayer(out, heads, 2 * out, dropout, F.gelu, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(out), enable_nested_tensor=False)

    def states(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        length = x.shape[2]
        steps, back = from_start(x.transpose(1, 2), there)
        steps = F.pad(steps, (0, 0, 0, -length % self.patch))
        tokens = self.enter(steps.unflatten(1, (-1, self.patch)).flatten(2))
        tokens = tokens + _positions(tokens)
        ends = torch.arange(tokens.shape[1], device=x.device) * self.patch >= there.sum(1, keepdim=True).clamp(min=1)
        states = self.layers(tokens, src_key_padding_mask=ends)
        return turned(states.repeat_interleave(self.patch, 1)[:, :length], back)


def _positions(tokens: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of the place of each token (Vaswani et al. 2017, arXiv 1706.03762): (L, D)."""
    place = torch.arange(tokens.shape[1], device=tokens.device)[:, None]
    rate = torch.exp(torch.arange(0, tokens.shape[2], 2, device=tokens.device) * (-math.log(1e4) / tokens.shape[2]))
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], 1).to(tokens.dtype)


build = PatchTransformer
