"""A part of a text."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class CropWords:
    """Keep a run of neighbouring words, a `share` of all of them drawn uniformly.

    Cropping: Fang et al. 2020, arXiv 2005.12766; random spans: Giorgi et al. 2021 (DeCLUTR), arXiv 2006.03659.
    """

    share: tuple[float, float] = knob((0.5, 1.0), low=0, high=1)
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        return _words.kept(ids, _words.run(ids, self.share, draws))
