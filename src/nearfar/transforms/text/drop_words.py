"""Leaving words out."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class DropWords:
    """Leave words out, as "deletion" in EDA (Wei & Zou 2019, arXiv 1901.11196); a text keeps at least one.

    With a rate of one half, two views are two random halves of the text.
    """

    rate: float = knob(0.5, low=0, high=1)
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        drawn = draws.uniform(0.0, 1.0, ids.shape[1])
        return _words.kept(ids, _words.of_words(ids, drawn) >= self.rate)
