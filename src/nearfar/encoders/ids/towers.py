"""Items by what is known of them, so that an item that nobody has taken yet can be recommended."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.ids import _events
from nearfar.encoders.ids.history import History

MODALITIES = ("ids",)


class Towers(History):
    """A `History` whose answers are the sum of what an item's content says and of a vector of its own.

    The content's part is the sum of the vectors of an item's features: words, categories and ranges of numbers. It
    starts as the ridge regression of the vectors of `History` on the features, an item counting by the root of how
    often it was taken, and the vector of its own as what that leaves. An item that was never taken has no own vector.
    In training own vectors are left out at random (as in DropoutNet, Volkovs et al. 2017), so that content has to do.

    Parameters
    ----------
    smooth : float
        λ of the regression on features.
    alone : float
        Share of the items whose own vector is left out in training.
    """

    def __init__(
        self, *, items: int, features: int, each: int, dim: int = 400, ridge: float = 400.0, rating: float = 0.2,
        even: float = 0.15, content: float = 3.0, recent: int = 0, first: float = 10.0, smooth: float = 10.0,
        alone: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__(items=items, dim=dim, ridge=ridge, rating=rating, even=even, content=content, recent=recent,
                         first=first, tied=False)  # fmt: skip
        self.smooth, self.alone = smooth, alone
        self.register_buffer("has", torch.zeros(items, each, dtype=torch.int32))  # features and one, 0 where none
        self.features = nn.Parameter(torch.randn(features + 1, dim).div_(dim**0.5))  # of row 0 nothing is taken

    @torch.no_grad()
    def setup(self, x: torch.Tensor, content: np.ndarray | None = None) -> None:
        super().setup(x, content)
        if content is not None:
            self.has.copy_(torch.from_numpy(content))
        known = _events.of_features(content, len(self.items)).T.tocsr()
        weights = self.taken.sqrt().numpy()
        weighted = known.multiply(weights[:, None]).tocsr()
        gram = (known.T @ weighted).toarray() + self.smooth * np.eye(known.shape[1])
        of_features = np.linalg.solve(gram, weighted.T @ self.items.numpy())
        self.features.zero_()
        self.features[1 : 1 + len(of_features)] = torch.from_numpy(of_features).float()
        own = self.items - torch.from_numpy((known @ of_features).astype(np.float32))
        self.answers.copy_(own * (self.taken > 0)[:, None])

    def candidates(self, ids: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors of items as they are compared with a user's, (K, D)."""
        ids = torch.arange(len(self.items), device=self.items.device) if ids is None else ids
        own = _events.rows_of(self.answers, ids)
        there = self.taken[ids] > 0
        if self.training:
            there = there & (torch.rand(len(ids), device=ids.device) >= self.alone)
        has = self.has[ids]
        said = F.embedding_bag(has.long(), self.features, mode="sum", per_sample_weights=(has > 0).to(own))
        return said + own * there[:, None]


build = Towers
