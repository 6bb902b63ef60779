"""Leaving a run of words out."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class CutWords:
    """Leave out a run of neighbouring words, a `share` of all of them drawn uniformly; a text of one word stays.

    Span cutoff: Shen et al. 2020, arXiv 2009.13818.
    """

    share: tuple[float, float] = knob((0.0, 0.3), low=0, high=1)
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        return _words.kept(ids, ~_words.run(ids, self.share, draws))
