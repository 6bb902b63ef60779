from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class MixSounds:
    """Another row of the batch in the background: mixtures of log-mel spectrograms (BYOL-A: arXiv 2103.06695).

    Parameters
    ----------
    share : (float, float)
        Weight of the other row, drawn uniformly. The mixture belongs to its own row, so it stays below one half.
    """

    share: tuple[float, float] = knob((0.0, 0.25), low=0, high=1)
    p: float = knob(1.0, low=0, high=1)
    kind = "spectrogram"

    def apply(self, x: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        if draws.batch is None:
            raise ValueError("mixing rows needs the values of the global batch")
        weight = draws.uniform(*self.share, 1, 1) * draws.bernoulli(self.p, 1, 1)
        return torch.lerp(x, draws.batch()[draws.others()], weight)
