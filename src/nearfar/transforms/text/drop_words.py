"""Leaving words out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class DropWords:
    """Leave each word out with probability `rate`; a text keeps at least one.

    With a rate of one half, two views are two random halves of the text. As "deletion" in EDA (Wei & Zou 2019, arXiv
    1901.11196).
    """

    rate: float = 0.5
    kind: ClassVar[str] = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Ids (N, L) in, and out with gaps of 0."""
        drawn = draws.uniform(0.0, 1.0, ids.shape[1])
        return _words.kept(ids, _words.of_words(ids, drawn) >= self.rate)
