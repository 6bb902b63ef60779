"""Vectors of items that are smoothed over who took what."""

from __future__ import annotations

import torch

from nearfar.encoders.ids import _events
from nearfar.encoders.ids._tables import ItemTable

MODALITIES = ("ids",)


class LightGcn(ItemTable):
    """Means over the neighbours in the graph of users and items (He et al. 2020, arXiv 2002.02126).

    With R the users by items, each 1 divided by the roots of how many items the user has and how many users the item,
    items are the mean of E, RᵀR·E, (RᵀR)²·E …, and a user is R times that: the sum of the items taken. The paper has a
    table of users too; without it a user who was not trained on has a vector. Ratings do not count.

    Parameters
    ----------
    hops : int
        Times that items are smoothed over the users who took them, two steps in the graph each.
    """

    def __init__(self, *, items: int, events: int, dim: int = 64, hops: int = 1) -> None:
        super().__init__(items, dim)
        self.hops = hops
        self.register_buffer(
            "edges", torch.full((2, events), -1)
        )  # user and item of each event, −1 where there is none

    @torch.no_grad()
    def setup(self, x: torch.Tensor, content: object = None) -> None:
        super().setup(x)
        e = _events.events(x)
        self.edges[:, : len(e.items)] = torch.stack([e.rows, e.items])[:, : self.edges.shape[1]]

    def candidates(self, ids: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors of items as they are compared with a user's, (K, D): smoothed."""
        users, items = self.edges[:, self.edges[0] >= 0]
        smoothed = mean = self.items
        if len(users):
            each = torch.bincount(users)[users] * self.taken.clamp(min=1)[items]
            share = (1 / each.float().sqrt())[:, None]
            for _ in range(self.hops):
                of_users = self.items.new_zeros(int(users.max()) + 1, self.out_features)
                of_users = of_users.index_add(0, users, share * smoothed[items])
                smoothed = torch.zeros_like(self.items).index_add(0, items, share * of_users[users])
                mean = mean + smoothed
        return _events.rows_of(mean / (1 + self.hops), ids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        e = _events.events(x)
        counts = torch.bincount(e.rows, minlength=len(x))
        with torch.autocast(x.device.type, enabled=False):
            weights = 1 / (counts[e.rows] * self.taken.clamp(min=1)[e.items]).float().sqrt()
            return _events.bags(self.candidates(), e.items, e.offsets, weights)


build = LightGcn
