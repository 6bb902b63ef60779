"""Cutting a run of words out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words
from nearfar.transforms.text.crop_words import span


@dataclass(frozen=True)
class CutWords:
    """Leave a run of neighbouring words out, a `share` of all of them.

    Span cutoff: Shen et al. 2020, arXiv 2009.13818.
    """

    share: tuple[float, float] = (0.0, 0.3)
    kind: ClassVar[str] = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Ids (N, L) in, and out with a gap of 0; texts of one word stay as they are."""
        first, after = span(ids, self.share, draws)
        word = (ids > 0).cumsum(1) - 1
        return _words.kept(ids, (word < first) | (word >= after))
