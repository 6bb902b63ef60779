"""Leaving items out."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class DropItems:
    """Leave items out at random, as the input noise of a denoising autoencoder (Liang et al. 2018, arXiv 1802.05814).

    Parameters
    ----------
    rest : bool
        Show what is left out instead of what stays. Views of a row share what is drawn: two of them have nothing in
        common, and one is known by what is to be found in the other.
    """

    rate: float = knob(0.5, low=0, high=1)
    rest: bool = False
    kind = "ids"

    def apply(self, events: torch.Tensor, draws: Draws) -> torch.Tensor:
        left_out = draws.common.bernoulli(self.rate, events.shape[1])
        return events * (left_out if self.rest else ~left_out)[:, :, None]
