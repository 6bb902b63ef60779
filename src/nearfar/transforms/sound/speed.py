from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws, check_range


@dataclass(frozen=True)
class Speed:
    """The sound quicker and higher, or slower and lower, as a tape at another speed (Ko et al. 2015, Interspeech).

    Parameters
    ----------
    factor : (float, float)
        Speed, drawn uniformly in the logarithm; of a slower sound the end is cut where it has no room.
    """

    factor: tuple[float, float] = (0.9, 1.1)
    kind = "waveform"

    def __post_init__(self) -> None:
        check_range("speed.factor", self.factor, most=4)

    def apply(self, waves: torch.Tensor, draws: Draws, rate: int) -> torch.Tensor:
        last = waves.shape[1] - 1
        at = torch.arange(last + 1, device=waves.device) * draws.log_uniform(*self.factor, 1)
        low = at.long().clamp(max=last)
        read = torch.lerp(waves.gather(1, low), waves.gather(1, (low + 1).clamp(max=last)), at - low)
        return read.masked_fill(at > last, 0)
