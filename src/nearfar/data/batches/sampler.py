"""Which rows come when: a formula of (seed, epoch, step), so there is no loader state to save or lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nearfar.core.randomness import generator

if TYPE_CHECKING:
    from nearfar.data.decoding.streaming import Blocks


@dataclass(frozen=True)
class Sampler:
    """Every row once an epoch, in an order drawn again each epoch.

    Parameters
    ----------
    rows : ndarray of int64, shape (N,)
        Row numbers of the table to draw from.
    batch_size : int
        Rows of the global batch, over all processes. The last, incomplete batch of an epoch is dropped: its rows are
        others every epoch.
    seed : int
        The run's seed.
    blocks : Blocks, optional
        Rows that lie together in a file where others are dear to read. Then so many blocks as fit the memory, drawn
        again each epoch, are gone through in random order before the next ones; where all fit, nothing changes.
    """

    rows: np.ndarray
    batch_size: int
    seed: int
    blocks: Blocks | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one epoch."""
        return len(self.rows) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """The row numbers of one epoch in their order, shape (N,)."""
        shuffle = torch.randperm(len(self.rows), generator=generator(self.seed, "order", epoch))
        rows = self.rows[shuffle.numpy()]
        if self.blocks is None:
            return rows
        count = int(self.blocks.of_row.max()) + 1
        drawn = torch.randperm(count, generator=generator(self.seed, "blocks", epoch)).numpy()
        turn = drawn[self.blocks.of_row[rows]] // self.blocks.together  # when each row's block is in memory
        return rows[np.argsort(turn, kind="stable")]

    def batch(self, epoch: int, step: int, order: np.ndarray | None = None) -> np.ndarray:
        """Row numbers of the global batch at `step` of `epoch`, shape (batch_size,)."""
        order = self.order(epoch) if order is None else order
        return order[step * self.batch_size : (step + 1) * self.batch_size]

    def upcoming(self, step: int, total: int) -> Iterator[np.ndarray]:
        """The global batches from `step` of the training, which starts at 0, to `total`."""
        while step < total:
            epoch, index = divmod(step, self.steps_per_epoch)
            order = self.order(epoch)
            for i in range(index, min(self.steps_per_epoch, index + total - step)):
                yield self.batch(epoch, i, order)
            step += self.steps_per_epoch - index
