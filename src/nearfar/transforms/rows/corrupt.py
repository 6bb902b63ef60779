"""Feature corruption of numeric rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Corrupt:
    """Replace each feature, with probability `rate`, by another row's value of it.

    This is SCARF's view (Bahri et al. 2021, arXiv 2106.15147, rate 0.6). The other rows are those of the global
    batch, so a replacement follows the feature's own distribution.
    """

    rate: float = 0.6
    kind: ClassVar[str] = "rows"

    def apply(self, rows: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Rows (N, F) in, and out."""
        features, bank = rows.shape[1], draws.batch() if draws.batch else rows
        replaced = draws.bernoulli(self.rate, features)
        donor = draws.integers(0, len(bank), features)
        return torch.where(replaced, bank.gather(0, donor), rows)
