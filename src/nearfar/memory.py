"""A queue of the twin's last embeddings (He et al. 2020, arXiv 1911.05722): many negatives from small batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from nearfar.learner import Embeddings

NOBODY = -1  # group of a place in the queue that has not been filled yet


class Queue(nn.Module):
    """First in, first out.

    Attributes
    ----------
    keys : Tensor (size, dim)
        Unit vectors; random directions until filled, which count as negatives of everybody.
    groups : LongTensor (size,)
        The group of each key, `NOBODY` until filled.
    position : LongTensor ()
        Where the next key goes.
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", nn.functional.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("groups", torch.full((size,), NOBODY))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: torch.Tensor, groups: torch.Tensor) -> None:
        """Put the keys (B, dim) of this step in, over the oldest ones.

        If B exceeds the size, only the last rows remain. The keys must be those of the *global* batch, in
        global order, so that the queues of all processes agree.
        """
        size = len(self.keys)
        keys, groups = keys[-size:], groups[-size:]
        places = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.keys[places] = nn.functional.normalize(keys.to(self.keys.dtype), dim=1)
        self.groups[places] = groups
        self.position.copy_((self.position + len(keys)) % size)

    def after_step(self, embeddings: Embeddings) -> None:
        """Take in what the twin made of this step's views."""
        for target in embeddings.target:
            if target is not None:
                world = embeddings.world
                self.push(world.gather_int(target.detach()), world.gather_int(embeddings.relation.group))
