from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws
from nearfar.transforms.sound._axis import read_at
from nearfar.transforms.sound._mel import edges, mel_of


@dataclass(frozen=True)
class WarpMel:
    """Formants higher or lower, as of a shorter or longer vocal tract (Jaitly and Hinton 2013, ICML workshop WDLASL).

    Parameters
    ----------
    strength : float
        Frequencies are multiplied by a factor from 1 − strength to 1 + strength; beyond the highest, that stands.
    """

    strength: float = knob(0.2, low=0, high=0.9)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        mels = x.shape[1]
        ends = edges(rate, mels)
        centres = ends[1:-1].float().to(x.device)
        places = mel_of(centres * draws.uniform(1 - self.strength, 1 + self.strength, 1)) / float(mel_of(ends[-1]))
        return read_at(x, (places * (mels + 1) - 1) / max(1, mels - 1), 1)
