"""A user is the weighted sum of the items taken; the quickest, and with its start hard to beat."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nearfar.encoders.ids import _events
from nearfar.encoders.ids._spectrum import spectrum
from nearfar.encoders.ids._tables import ItemTable

MODALITIES = ("ids",)
STEPS = 40


class History(ItemTable):
    """The sum of the vectors of the items in a history, weighted by rating and by how recent they are.

    Item j's score for a user is then the sum over the user's items i of w_i·q_i·c_j. It starts as the ridge regression
    of every item on all others, of which it has the first dimensions: with M the users by items, below which stand
    features of the items by items, and M = U·S·Vᵀ, the vectors are q = c = V·√(S²/(S² + λ)). EASE (Steck 2019, arXiv
    1905.03375) is that regression without an item's weight on itself.

    Parameters
    ----------
    tied : bool
        Whether items are compared by the vectors that users are summed from, or by others.
    """

    def __init__(
        self, *, items: int, dim: int = 400, ridge: float = 400.0, rating: float = 0.2,
        even: float = 0.15, content: float = 3.0, recent: int = 0, first: float = 10.0, tied: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(items, dim)
        self.ridge, self.rating, self.even, self.content = ridge, rating, even, content
        self.answers = None if tied else nn.Parameter(self.items.detach().clone())
        self.recent = nn.Parameter(torch.linspace(np.log(first), 0, recent + 1)[:-1]) if recent else None
        self.register_buffer("ratings", torch.tensor([0.0, 1.0]))  # mean and standard deviation of the weights

    @torch.no_grad()
    def setup(self, x: torch.Tensor, content: np.ndarray | None = None) -> None:
        super().setup(x)
        e = _events.events(x)
        weights = e.weights
        if len(weights) and (spread := weights.std(correction=0)) > 0:
            self.ratings.copy_(torch.stack([weights.mean(), spread]))
        else:
            self.ratings.copy_(torch.tensor([float(weights.mean()) if len(weights) else 0.0, 1.0]))
        counts = torch.bincount(e.rows, minlength=len(x)).float()
        users = (counts / counts.mean().clamp(min=1e-12)).clamp(min=1e-12) ** -self.even
        taken = _events.matrix(x, len(self.items), self.rated(weights) * users[e.rows])
        known = self.content * _events.of_features(content, len(self.items))
        start = torch.from_numpy(spectrum(taken, known, self.out_features, self.ridge))
        for table in (self.items, self.answers):
            if table is not None:
                table.copy_(start)

    def rated(self, weights: torch.Tensor) -> torch.Tensor:
        """How much each event counts by its rating."""
        mean, spread = self.ratings
        return (1 + self.rating * (weights - mean) / spread).clamp(min=0)

    def counted(self, e: _events.Events) -> torch.Tensor:
        """How much each event counts, (E,)."""
        weights = self.rated(e.weights)
        if self.recent is None:
            return weights
        factors = torch.cat([self.recent, self.recent.new_zeros(1)]).exp()
        return weights * factors[e.back.clamp(max=len(self.recent))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        e = _events.events(x)
        with torch.autocast(x.device.type, enabled=False):
            return _events.bags(self.items, e.items, e.offsets, self.counted(e))

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a user is after each event, (N, L, D), and where there is one, bool (N, L)."""
        there = x[:, :, 0] != 0
        weights = self.rated(x[:, :, 1].float() / _events.UNIT) * there
        vectors = _events.rows_of(self.items, (x[:, :, 0].long() - 1).clamp(min=0)) * weights[:, :, None]
        states = vectors.cumsum(1)
        if self.recent is not None:
            for k, factor in enumerate(self.recent.exp()[: x.shape[1]]):
                states = states + (factor - 1) * nn.functional.pad(vectors, (0, 0, k, 0))[:, : x.shape[1]]
        return states, there

    def pooled(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The user after the last event."""
        last = (there.sum(1) - 1).clamp(min=0)
        return states[torch.arange(len(states), device=states.device), last] * there.any(1)[:, None]

    def candidates(self, ids: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors of items as they are compared with a user's, (K, D)."""
        return _events.rows_of(self.items if self.answers is None else self.answers, ids)

    def contributions(self, x: torch.Tensor) -> tuple[_events.Events, torch.Tensor]:
        """The events, and the vector that each adds to its user's, (E, D)."""
        e = _events.events(x)
        return e, self.items[e.items] * self.counted(e)[:, None]


build = History
