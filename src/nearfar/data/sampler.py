"""Which rows come when: a formula of (seed, epoch, step), so there is no loader state to save or lose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nearfar.randomness import generator


@dataclass(frozen=True)
class Sampler:
    """Every row once an epoch, in an order drawn anew each epoch.

    Parameters
    ----------
    rows : ndarray of int64, shape (N,)
        Row numbers of the table to draw from.
    batch_size : int
        Rows of the global batch, over all processes.
    seed : int
        The run's seed.

    Notes
    -----
    The last, incomplete batch of an epoch is dropped: its rows are others every epoch.
    """

    rows: np.ndarray
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one epoch."""
        return len(self.rows) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """The row numbers of one epoch in their order, shape (N,)."""
        shuffle = torch.randperm(len(self.rows), generator=generator(self.seed, "order", epoch))
        return self.rows[shuffle.numpy()]

    def batch(self, epoch: int, step: int, order: np.ndarray | None = None) -> np.ndarray:
        """Row numbers of the global batch at `step` of `epoch`, shape (batch_size,)."""
        order = self.order(epoch) if order is None else order
        return order[step * self.batch_size : (step + 1) * self.batch_size]
