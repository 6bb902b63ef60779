from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class DropTokens:
    """Leave out single tokens (token cutoff, Shen et al. 2020, arXiv 2009.13818).

    Of hashed words this leaves out some of a word's n-grams, so that the others have to stand for it.
    """

    rate: float = knob(0.2, low=0, high=1)
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        return _words.kept(ids, draws.uniform(0.0, 1.0, ids.shape[1]) >= self.rate)
