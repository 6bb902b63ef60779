"""Random parameters for the rows of a batch. Transforms see only this, so two rows cannot share a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch


class Draws:
    """Draws for the *global* batch from a CPU generator, of which this process keeps its share of the rows.

    So N processes draw what one would, and a GPU gets the parameters that a CPU would.

    Parameters
    ----------
    generator : torch.Generator
    total : int
        Rows of the global batch.
    rows : slice, optional
        This process's share; all by default.
    device : str or torch.device
        Where the parameters go.
    batch : callable, optional
        Gives the values of the *global* batch, for transforms that mix rows.
    """

    def __init__(
        self, generator: torch.Generator, total: int, rows: slice | None = None,
        device: str | torch.device = "cpu", batch: Callable[[], torch.Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.generator, self.total, self.share, self.device = generator, total, rows or slice(None), device
        self.batch = batch

    def __len__(self) -> int:
        return len(range(*self.share.indices(self.total)))

    def _keep(self, drawn: torch.Tensor) -> torch.Tensor:
        return drawn[self.share].to(self.device, non_blocking=True)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in [low, high), shape (rows, *shape), float32."""
        return self._keep(torch.rand(self.total, *shape, generator=self.generator) * (high - low) + low)

    def log_uniform(self, low: float, high: float) -> torch.Tensor:
        """Uniform in the logarithm, shape (rows,)."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal, shape (rows, *shape)."""
        return self._keep(torch.randn(self.total, *shape, generator=self.generator))

    def bernoulli(self, p: float, *shape: int) -> torch.Tensor:
        """True with probability p, shape (rows, *shape)."""
        return self.uniform(0.0, 1.0, *shape) < p

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Whole numbers in [low, high), shape (rows, *shape)."""
        return self._keep(torch.randint(low, high, (self.total, *shape), generator=self.generator))
