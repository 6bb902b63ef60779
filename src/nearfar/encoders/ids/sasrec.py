"""A transformer that looks back over the events of a history."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.ids._tables import ItemTable

MODALITIES = ("ids",)


class SasRec(ItemTable):
    """Self-attention over the newest events (Kang & McAuley 2018, arXiv 1808.09781), items and answers in one table.

    The state after an event is what that event and those before it make of it. Ratings do not count.

    Parameters
    ----------
    most : int
        Events that are looked at, the newest.
    heads : int
        Of each attention.
    """

    def __init__(
        self, *, items: int, length: int, dim: int = 64, layers: int = 2, heads: int = 1, dropout: float = 0.2,
        most: int = 200,
    ) -> None:  # fmt: skip
        super().__init__(items, dim)
        if dim % heads:
            raise ValueError(f"dim is {dim!r} and has to be a multiple of heads, {heads!r}")
        self.most = min(most, length)
        self.places = nn.Parameter(torch.randn(self.most, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(dim, heads, dim, dropout, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a user is after each event, (N, L, D), and where there is one, bool (N, L); L at most ``most``."""
        x = _newest(x, self.most)
        there = x[:, :, 0] != 0
        length = x.shape[1]
        vectors = F.embedding((x[:, :, 0].long() - 1).clamp(min=0), self.items) * self.out_features**0.5
        states = self.dropout(vectors + self.places[:length]) * there[:, :, None]
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        # What is not there comes last, so no event that is there looks at it.
        return self.norm(self.layers(states, mask=later, is_causal=True)), there

    def pooled(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The state after the last event."""
        last = (there.sum(1) - 1).clamp(min=0)
        return states[torch.arange(len(states), device=states.device), last] * there.any(1)[:, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(*self.steps(x))


def _newest(x: torch.Tensor, most: int) -> torch.Tensor:
    """The last `most` events of each row (N, L, 2)."""
    if x.shape[1] <= most:
        return x
    first = ((x[:, :, 0] != 0).sum(1) - most).clamp(min=0)
    place = first[:, None] + torch.arange(most, device=x.device)
    return x.gather(1, place[:, :, None].expand(-1, -1, 2))


build = SasRec
