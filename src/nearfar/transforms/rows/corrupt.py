from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Corrupt:
    """Replace features by those of other rows of the global batch (SCARF: Bahri et al. 2021, arXiv 2106.15147).

    So a replacement follows the feature's own distribution; 0.6 is the paper's rate.
    """

    rate: float = knob(0.6, low=0, high=1)
    kind = "rows"

    def apply(self, rows: torch.Tensor, draws: Draws) -> torch.Tensor:
        features, bank = rows.shape[1], draws.batch() if draws.batch else rows
        replaced = draws.bernoulli(self.rate, features)
        donor = draws.integers(0, len(bank), features)
        return torch.where(replaced, bank.gather(0, donor), rows)
