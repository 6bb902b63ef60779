"""Tokens of other texts in the place of some."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class ReplaceWords:
    """Put a token of another text of the batch in the place of a token, so frequent ones come more often.

    A token that begins a word still does.
    """

    rate: float = knob(0.1, low=0, high=1)
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        bank = draws.batch() if draws.batch else ids
        replaced = draws.bernoulli(self.rate, ids.shape[1])
        other = bank[draws.integers(0, len(bank))]  # one other text for each, whose places are the same
        return torch.where(replaced & (ids != 0) & (other != 0), other.abs() * ids.sign(), ids)
