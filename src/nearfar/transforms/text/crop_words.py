"""A part of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class CropWords:
    """Keep a run of neighbouring words, a `share` of all of them drawn uniformly.

    Cropping: Fang et al. 2020, arXiv 2005.12766; random spans: Giorgi et al. 2021 (DeCLUTR), arXiv 2006.03659.
    """

    share: tuple[float, float] = (0.5, 1.0)
    kind: ClassVar[str] = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Ids (N, L) in, and out with 0 before and after."""
        first, after = span(ids, self.share, draws)
        word = (ids > 0).cumsum(1) - 1
        return _words.kept(ids, (word >= first) & (word < after))


def span(ids: torch.Tensor, share: tuple[float, float], draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """First word of a run of a drawn share of the words of each row, and the word after its last: each (N, 1)."""
    words = _words.counts(ids)
    length = (draws.uniform(*share)[:, None] * words).round().clamp(min=1)
    first = (draws.uniform(0.0, 1.0)[:, None] * (words - length + 1)).floor()
    return first, first + length
