"""What encoders with a table of items have in common."""

from __future__ import annotations

import torch
from torch import nn

from nearfar.encoders.ids import _events


class ItemTable(nn.Module):
    """A table of items, of which each training row's events are counted by ``setup``."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.items = nn.Parameter(torch.randn(items, dim).div_(dim**0.5))
        self.register_buffer("taken", torch.zeros(items))  # how often each item is in the training rows
        self.out_features = dim

    @torch.no_grad()
    def setup(self, x: torch.Tensor, content: object = None) -> None:
        self.taken.copy_(torch.bincount(_events.events(x).items, minlength=len(self.taken)))

    def candidates(self, ids: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors of items as they are compared with a user's, (K, D)."""
        return _events.rows_of(self.items, ids)
