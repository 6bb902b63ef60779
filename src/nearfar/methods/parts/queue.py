"""What a method remembers of earlier steps: a queue (He et al. 2020, arXiv 1911.05722), a running mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from nearfar.methods.parts.heads import cosines
from nearfar.objectives.dino import next_centre
from nearfar.objectives.kernel.relation import NOBODY

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Embeddings


class Queue(nn.Module):
    """First in, first out: `size` unit vectors, with their groups.

    `side` says whose embeddings of each step come in: the twin's of all its views ("target"), or the first online ones.
    Until they are filled, places have random directions, which count as negatives of everybody.
    """

    def __init__(self, size: int, dim: int, side: str = "target") -> None:
        super().__init__()
        self.side = side
        self.register_buffer("keys", nn.functional.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("groups", torch.full((size,), NOBODY))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))  # where the next key goes

    @torch.no_grad()
    def push(self, keys: torch.Tensor, groups: torch.Tensor) -> None:
        """Put the keys (B, dim) of this step in, over the oldest ones; of more than the size, the last remain.

        They must be those of the *global* batch, in global order, so that the queues of all processes agree.
        """
        size = len(self.keys)
        keys, groups = keys[-size:], groups[-size:]
        places = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.keys[places] = nn.functional.normalize(keys.to(self.keys.dtype), dim=1)
        self.groups[places] = groups
        self.position.copy_((self.position + len(keys)) % size)

    def similarity(self, z: torch.Tensor) -> torch.Tensor:
        """Cosines (N, size) of embeddings (N, dim) with the keys."""
        return cosines(z, self.keys)

    @torch.no_grad()
    def nearest(self, z: torch.Tensor) -> torch.Tensor:
        """The key that is nearest to each embedding: (N, dim), without gradient."""
        return self.keys[self.similarity(z).argmax(1)]

    def after_step(self, embeddings: Embeddings) -> None:
        world = embeddings.world
        for z in embeddings.target if self.side == "target" else embeddings.online[:1]:
            if z is not None:
                self.push(world.gather_int(z.detach()), world.gather_int(embeddings.relation.group))


class RunningMean(nn.Module):
    """The running mean of the twin's embeddings, 0 at first: what DINO centres by (`next_centre`)."""

    def __init__(self, dim: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(dim))

    def after_step(self, embeddings: Embeddings) -> None:
        targets = [t.to(self.mean.dtype) for t in embeddings.target if t is not None]
        self.mean.copy_(next_centre(self.mean, targets, self.momentum, embeddings.world))
